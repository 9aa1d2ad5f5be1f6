internal import Applying
internal import Assignments
internal import Devices
internal import Hypervisors
internal import Qubes

extension Survey {
    /// How many of the devices of one VM that are not understood are told one by one.
    private static let toldFaults = 10

    /// All that qubesd knows of a class. What one VM does not tell is a warning; a qubesd that does not answer in time is a
    /// failure, because nobody knows what it would have said.
    init(_ deviceClass: DeviceClass, of admin: QubesAdmin, withAssignments: Bool) throws(Failure) {
        self.init(deviceClass: deviceClass)
        let survey: QubesAdmin.Survey
        do { survey = try admin.survey(deviceClass, withAssignments: withAssignments) } catch {
            throw Failure(Problem(HypervisorError(error)))
        }
        vms = Set(survey.domains.map(\.name))
        for answer in survey.available {
            guard let list = try rows(answer) else { continue }
            devices += list.rows.map(\.device)
        }
        for answer in survey.attached {
            attachments += try rows(answer)?.rows.compactMap(LockRecord.init) ?? []
        }
        for answer in survey.assigned {
            guard let list = try answered(answer) else { continue }
            var reading = TableReading()
            reading.add(list, of: answer.vm, deviceClass)
            assignments += reading.assignments
            warnings += (reading.problems + reading.notes).map(\.description)
        }
    }

    private mutating func rows<Row>(_ answer: QubesAdmin.Answer<Row>) throws(Failure) -> QubesAdmin.List<Row>? {
        let list = try answered(answer)
        let faults = list?.faults ?? []
        for fault in faults.prefix(Survey.toldFaults) {
            warnings.append(
                "VM \(answer.vm): \(deviceClass) device \(fault.head) is not understood: \(fault.error)")
        }
        if faults.count > Survey.toldFaults {
            warnings.append(
                "VM \(answer.vm): \(faults.count - Survey.toldFaults) more of its \(deviceClass) devices are not understood"
            )
        }
        return list
    }

    private mutating func answered<Row>(_ answer: QubesAdmin.Answer<Row>) throws(Failure) -> QubesAdmin.List<Row>? {
        do { return try answer.list.get() } catch {
            guard error.kind != .unreachable else { throw Failure(Problem(HypervisorError(error))) }
            warnings.append(error.description)
            return nil
        }
    }
}

extension QubesAdmin {
    /// What VMs that run have of a class; of one VM alone, or of all.
    func records(_ deviceClass: DeviceClass, of vm: VMName?) throws(Failure) -> [LockRecord] {
        do {
            let vms = try vm.map { [$0] } ?? domains().filter { $0.isRunning && !$0.name.isHost }.map(\.name)
            var records: [LockRecord] = []
            for answer in attached(vms.map { ($0, deviceClass) }) {
                records += try answer.get().rows.compactMap(LockRecord.init)
            }
            return records
        } catch let error as QubesError {
            throw Failure(Problem(HypervisorError(error)))
        } catch {
            throw Failure("\(error)", status: .refused)
        }
    }
}

extension LockRecord {
    /// What a VM has by qubesd's account; nil for what is only stored, and for what is in no port.
    init?(_ link: QubesLink) {
        guard let port = link.port, let device = link.reference, let id = link.attachmentID else { return nil }
        let canonical = CanonicalDevice(key: QubesDevice.key(link.source, link.deviceClass, port))
        let pairs = link.options.map { (key: $0.key, value: $0.value) }.filter {
            (try? DeviceOptions([$0], of: link.deviceClass)) != nil
        }
        self.init(
            vm: link.target, device: device, id: id,
            options: (try? DeviceOptions(pairs, of: link.deviceClass)) ?? .none, canonical: canonical, sequence: nil
        )
    }
}
