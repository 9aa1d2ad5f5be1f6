internal import Platform

extension QMPCommand where Reply == QMP.Nothing {
    /// getfd: QEMU holds the file under that name.
    static func hold(_ descriptor: Descriptor, as name: String) -> QMPCommand {
        QMPCommand("getfd", QMP.DescriptorName(fdname: name), passing: descriptor)
    }

    /// closefd: ends a getfd.
    static func letGo(_ name: String) -> QMPCommand {
        QMPCommand("closefd", QMP.DescriptorName(fdname: name))
    }

    /// remove-fd, of a whole set.
    static func removeSet(_ number: Int64) -> QMPCommand {
        QMPCommand("remove-fd", QMP.FDSetNumber(number: number))
    }
}

extension QMPCommand where Reply == QMP.FDSetNumber {
    /// add-fd: makes a set of the one file, with a note to know it by.
    static func makeSet(of descriptor: Descriptor, note: String) -> QMPCommand {
        QMPCommand("add-fd", QMP.DescriptorNote(opaque: note), passing: descriptor)
    }
}

extension QMPCommand where Reply == [QMP.FDSet] {
    /// query-fdsets.
    static var sets: QMPCommand { QMPCommand("query-fdsets") }
}
