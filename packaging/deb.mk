# SPDX-License-Identifier: MIT OR GPL-2.0-only
# A Debian package, made of a copy of the tree by debian/rules.

DEB_TREE := $B/deb/guideway-$(VERSION)

deb: ## build a Debian package, in $B/deb
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES) debhelper build-essential'
	@[ "$$(dpkg-parsechangelog -S Version)" = $(VERSION) ] || { echo "debian/changelog is not of $(VERSION)" >&2; exit 1; }
	@rm -rf $B/deb; mkdir -p $(DEB_TREE)
	@cp -r $(filter-out build% $B,$(wildcard *)) $(DEB_TREE)
	$(call say,DEB,$(DEB_TREE))cd $(DEB_TREE) && dpkg-buildpackage -b -us -uc >../log 2>&1 || { tail -n 40 ../log >&2; exit 1; }
	@ls $B/deb/*.deb

check-debian12: ## a fresh Debian 12 in a chroot: build, unit tests, a demo, the package
	@tests/debian/run bookworm

check-debian13: ## the same on Debian 13
	@tests/debian/run trixie

.PHONY: deb check-debian12 check-debian13
