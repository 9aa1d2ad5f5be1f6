
# A device's name has colons in it, at which bash would break it up; and as qvm-CLASS the class is in the program's name.
_vmdevctl_words() {
    local -a words=()
    local -i index
    for ((index = 0; index <= COMP_CWORD; index++)); do
        local word="${COMP_WORDS[index]}"
        if ((index > 1)) && [[ "${word}" == : || "${COMP_WORDS[index - 1]}" == : ]]; then
            words[${#words[@]} - 1]+="${word}"
        else
            words+=("${word}")
        fi
    done
    case "${words[0]##*/}" in
    qvm-device) words[0]=vmdevctl ;;
    qvm-*) words=(vmdevctl "${words[0]##*/qvm-}" "${words[@]:1}") && words[1]="${words[1]#qvm-}" ;;
    esac
    local -a COMP_WORDS=("${words[@]}")
    local -i COMP_CWORD=$((${#words[@]} - 1))
    local COMP_LINE="${words[*]}"
    local -i COMP_POINT=${#COMP_LINE}
    local current="${COMP_WORDS[COMP_CWORD]}" previous="${COMP_WORDS[COMP_CWORD - 1]}"
    _vmdevctl "${COMP_WORDS[0]}" "${current}" "${previous}"
    local before="${current%"${current##*:}"}"
    COMPREPLY=("${COMPREPLY[@]#"${before}"}")
}

complete -F _vmdevctl_words vmdevctl qvm-device qvm-block qvm-usb qvm-pci qvm-mic
