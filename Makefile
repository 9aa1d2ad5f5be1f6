SWIFT ?= swift
PREFIX ?= /usr
DESTDIR ?=

LIBEXEC = $(DESTDIR)$(PREFIX)/lib/vmdev
EXAMPLES = $(DESTDIR)$(PREFIX)/share/doc/vmdevctl/examples
BIN = $(DESTDIR)$(PREFIX)/bin
MAN = $(DESTDIR)$(PREFIX)/share/man
SYSTEMD = $(DESTDIR)$(PREFIX)/lib/systemd
BASH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/bash-completion/completions
ZSH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/zsh/vendor-completions
FISH_COMPLETIONS = $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
RELEASE ?= .build/release
# How long each reader is fed by `make fuzz`, and how often `make bench` measures a pair.
FUZZ_SECONDS ?= 300
BENCH_ROUNDS ?= 20
PROGRAMS = vmdev-apply vmdevctl vmdev-generator vmdev-export
# What vmdevctl is called besides.
NAMES = qvm-device qvm-block qvm-usb qvm-pci qvm-mic

# These look at locks in their own process: a program that another test starts would hold a copy of them between its fork
# and its exec, so they run apart.
LOCKING = ^(Applying|Control)Tests
# A whole host on an emulated processor: it runs alone, so that the others leave it the time that it needs.
LAB = ^SystemTests.LabTests
# Two emulated guests, one test after the other. The others wait for processes half of the time, so these run beside them.
PAIRS = ^SystemTests.SourcePairTests
TESTS = $(SWIFT) test --skip-build --disable-xctest

.PHONY: build demo lab test test-pairs test-others install deb crash fuzz sanitize bench clean help

# The C++ library that Swift's own needs is linked in: to load it takes a fifth of the start of a program. With no archive of it
# the shared one is taken. No program looks for libraries beside itself.
build: ## build the programs (release)
	@.ci/packages build
	@mkdir -p .build/archives
	@archive=$$(clang -print-file-name=libstdc++.a 2>/dev/null || cc -print-file-name=libstdc++.a); \
		ln -sf "$$archive" .build/archives/libstdc++.a
	for program in $(PROGRAMS); do \
		$(SWIFT) build -c release --static-swift-stdlib --disable-local-rpath -Xlinker -L$(CURDIR)/.build/archives \
			--product $$program || exit 1; done

demo: ## assign a disk, boot a real VM with it, take the disk away, see the boot refused (as root)
	@.ci/packages demo
	@Tests/System/Demo/demo

lab: build ## boot a whole Debian host with USB, PCI, sound and disks, and the programs in it; leaves a prompt (as root)
	@.ci/packages test
	@Tests/System/Lab/lab prompt $(RELEASE)

# Warnings are errors in the build; CI decides only whether a test may be skipped.
test: ## format, warnings, unit and system tests (the system tests as root)
	@.ci/packages test
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests
	CI=true $(SWIFT) build --build-tests
	$(MAKE) build
	Tests/System/Guest/make-guest .build/guest >/dev/null
	Tests/System/Lab/make-lab .build/lab >/dev/null
	$(TESTS) --filter '$(LOCKING)'
	$(MAKE) --jobs=2 --output-sync=target test-pairs test-others
	$(TESTS) --filter '$(LAB)'
	SWIFT='$(SWIFT)' Tests/Fuzz/fuzz 3
	@echo "make test: all passed"

# Nothing is built here, so that the one need not wait for the other's lock on the build.
test-pairs:
	$(TESTS) --ignore-lock --filter '$(PAIRS)'
test-others:
	$(TESTS) --ignore-lock --skip '$(LOCKING)' --skip '$(LAB)' --skip '$(PAIRS)'

crash: ## kill the programs at each system call in turn, and have each one fail (as root; a quarter of an hour)
	@.ci/packages test
	CI=true $(SWIFT) build --build-tests
	VMDEV_EXHAUSTIVE=1 $(TESTS) --filter CrashTests

fuzz: ## feed whatever reads what others wrote with made-up input, FUZZ_SECONDS (300) each
	@.ci/packages build
	SWIFT='$(SWIFT)' Tests/Fuzz/fuzz $(FUZZ_SECONDS)

sanitize: ## the unit tests under AddressSanitizer, LeakSanitizer and ThreadSanitizer (as root; ten minutes)
	@.ci/packages test
	SWIFT='$(SWIFT)' Tests/Sanitize/sanitize '$(LOCKING)'

bench: build ## measure the programs beside the least that the same job takes, into .build/bench.json (as root)
	@.ci/packages bench
	$(SWIFT)c -O -swift-version 6 -o .build/vmdev-bench Tests/Benchmark/*.swift
	unshare --mount .build/vmdev-bench $(RELEASE) Tests/Benchmark .build/bench.json $(BENCH_ROUNDS)

# On Qubes OS the qvm- names are taken: there they stay what they are.
install: ## install into DESTDIR and PREFIX (after make build)
	@test -x $(RELEASE)/vmdev-apply -a -x $(RELEASE)/vmdevctl -a -x $(RELEASE)/vmdev-generator -a -x $(RELEASE)/vmdev-export || { echo "Nothing is built yet: run 'make build' first." >&2; exit 1; }
	install -d $(LIBEXEC) $(BIN) $(EXAMPLES) $(DESTDIR)/etc/vmdev $(SYSTEMD)/system-generators $(SYSTEMD)/catalog $(SYSTEMD)/system
	install -d $(DESTDIR)$(PREFIX)/lib/tmpfiles.d
	install -s -m 755 $(RELEASE)/vmdev-apply $(LIBEXEC)/vmdev-apply
	install -s -m 755 $(RELEASE)/vmdev-export $(LIBEXEC)/vmdev-export
	install -s -m 755 $(RELEASE)/vmdevctl $(BIN)/vmdevctl
	install -s -m 755 $(RELEASE)/vmdev-generator $(SYSTEMD)/system-generators/vmdev-generator
	cd $(BIN) && for name in $(NAMES); do test -e $$name || ln -s vmdevctl $$name; done
	install -m 644 units/tmpfiles.d/vmdev.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/vmdev.conf
	install -m 644 units/vmdev.catalog $(SYSTEMD)/catalog/vmdev.catalog
	install -m 644 units/vmdev@.service units/vmdev-replug@.service units/vmdev-export.socket units/vmdev-export@.service units/vmdev-announce@.service units/vmdev-announced.socket units/vmdev-announced.service units/vmdev-source@.service units/vmdev-started@.service units/libvirt-vm@.service $(SYSTEMD)/system/
	install -d $(SYSTEMD)/system/libvirt-vm@.service.d
	install -m 644 units/vmdev.conf $(SYSTEMD)/system/libvirt-vm@.service.d/vmdev.conf
	install -d $(SYSTEMD)/system/qubes-vm@.service.d
	install -m 644 units/qubes-vm@.service.d/50-vmdev.conf $(SYSTEMD)/system/qubes-vm@.service.d/50-vmdev.conf
	install -m 755 units/libvirt/libvirt-vm units/libvirt/libvirt-hook $(LIBEXEC)/
	install -d $(DESTDIR)$(PREFIX)/lib/udev/rules.d
	install -m 644 units/90-vmdev.rules units/91-vmdev-export.rules $(DESTDIR)$(PREFIX)/lib/udev/rules.d/
	install -m 644 units/vmdev.conf units/sandbox.conf units/qemu@.service units/work.conf $(EXAMPLES)
	install -m 755 units/libvirt/50-vmdev $(EXAMPLES)
	for section in 1 5 8; do install -d $(MAN)/man$$section && install -m 644 units/man/*.$$section $(MAN)/man$$section; done
	cd $(MAN)/man1 && for name in $(NAMES); do test -e $$name.1 || ln -s vmdevctl.1 $$name.1; done
	install -d $(BASH_COMPLETIONS) $(ZSH_COMPLETIONS) $(FISH_COMPLETIONS)
	$(BIN)/vmdevctl --generate-completion-script bash | sed '1{/^#!/d}' | cat - units/completions/words.bash >$(BASH_COMPLETIONS)/vmdevctl
	cd $(BASH_COMPLETIONS) && for name in $(NAMES); do test -e $$name || ln -s vmdevctl $$name; done
	$(BIN)/vmdevctl --generate-completion-script zsh >$(ZSH_COMPLETIONS)/_vmdevctl
	$(BIN)/vmdevctl --generate-completion-script fish >$(FISH_COMPLETIONS)/vmdevctl.fish

deb: build ## make a Debian package in .build/deb
	@.ci/packages deb
	units/debian/make-deb .build/deb $(RELEASE)

clean: ## remove everything that was built
	rm -rf .build

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-10s %s\n", $$1, $$2 }' Makefile
