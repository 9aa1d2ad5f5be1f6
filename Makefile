SWIFT ?= swift
PREFIX ?= /usr
DESTDIR ?=

LIBEXEC = $(DESTDIR)$(PREFIX)/lib/vmdev
EXAMPLES = $(DESTDIR)$(PREFIX)/share/doc/vmdevctl/examples
RELEASE = .build/release

# These look at locks in their own process: a program that another test starts would hold a copy of them between its fork
# and its exec, so they run apart.
LOCKING = ^(Applying|Control)Tests
# A whole host on an emulated processor: it runs alone, so that the others leave it the time that it needs.
LAB = ^SystemTests.LabTests

.PHONY: build demo lab test install clean help

build: ## build the programs (release)
	@.ci/packages build
	$(SWIFT) build -c release --static-swift-stdlib --product vmdev-apply
	$(SWIFT) build -c release --static-swift-stdlib --product vmdevctl
	$(SWIFT) build -c release --static-swift-stdlib --product vmdev-generator

demo: ## assign a disk, boot a real VM with it, take the disk away, see the boot refused (as root)
	@.ci/packages demo
	@Tests/System/Demo/demo

lab: ## boot a whole Debian host with USB, PCI, sound and disks, and the programs in it; leaves a prompt (as root)
	@.ci/packages test
	$(SWIFT) build --product vmdev-apply
	$(SWIFT) build --product vmdevctl
	@Tests/System/Lab/lab prompt .build/debug

# Warnings are errors in the build; CI decides only whether a test may be skipped.
test: ## format, warnings, unit and system tests (the system tests as root)
	@.ci/packages test
	$(SWIFT) format lint --strict --recursive Package.swift Sources Tests
	CI=true $(SWIFT) build --build-tests
	Tests/System/Guest/make-guest .build/guest >/dev/null
	Tests/System/Lab/make-lab .build/lab >/dev/null
	$(SWIFT) test --skip-build --disable-xctest --filter '$(LOCKING)'
	$(SWIFT) test --skip-build --disable-xctest --skip '$(LOCKING)' --skip '$(LAB)'
	$(SWIFT) test --skip-build --disable-xctest --filter '$(LAB)'
	@echo "make test: all passed"

# On Qubes OS the qvm- names are taken: there they stay what they are.
install: ## install into DESTDIR and PREFIX (after make build)
	@test -x $(RELEASE)/vmdev-apply -a -x $(RELEASE)/vmdevctl -a -x $(RELEASE)/vmdev-generator || { echo "Nothing is built yet: run 'make build' first." >&2; exit 1; }
	install -d $(LIBEXEC) $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/lib/tmpfiles.d $(EXAMPLES) $(DESTDIR)/etc/vmdev
	install -s -m 755 $(RELEASE)/vmdev-apply $(LIBEXEC)/vmdev-apply
	install -s -m 755 $(RELEASE)/vmdevctl $(DESTDIR)$(PREFIX)/bin/vmdevctl
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/system-generators
	install -s -m 755 $(RELEASE)/vmdev-generator $(DESTDIR)$(PREFIX)/lib/systemd/system-generators/vmdev-generator
	cd $(DESTDIR)$(PREFIX)/bin && for name in qvm-device qvm-block qvm-usb qvm-pci qvm-mic; do test -e $$name || ln -s vmdevctl $$name; done
	install -m 644 units/tmpfiles.d/vmdev.conf $(DESTDIR)$(PREFIX)/lib/tmpfiles.d/vmdev.conf
	install -d $(DESTDIR)$(PREFIX)/lib/systemd/catalog $(DESTDIR)$(PREFIX)/lib/systemd/system
	install -m 644 units/vmdev.catalog $(DESTDIR)$(PREFIX)/lib/systemd/catalog/vmdev.catalog
	install -m 644 units/vmdev@.service $(DESTDIR)$(PREFIX)/lib/systemd/system/vmdev@.service
	install -m 644 units/vmdev.conf units/qemu@.service units/work.conf $(EXAMPLES)

clean: ## remove everything that was built
	rm -rf .build

help: ## this list
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "make %-8s %s\n", $$1, $$2 }' Makefile
