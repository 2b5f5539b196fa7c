# SPDX-License-Identifier: MIT OR GPL-2.0-only
# What is installed below $(DESTDIR)$(PREFIX), MODE:PATH:SOURCE, and removed again.
# Distributions have other places for some of it.

ZSH_DIR     ?= share/zsh/site-functions
SYSTEMD_DIR ?= lib/systemd/system

INSTALLED := 755:sbin/lbd:$B/lbd \
	755:bin/lbctl:$B/lbctl \
	755:bin/replica:$B/replica \
	$(foreach page,$(wildcard docs/man/*.[18]),644:share/man/man$(subst .,,$(suffix $(page)))/$(notdir $(page)):$(page)) \
	644:share/bash-completion/completions/lbctl:packaging/completions.bash \
	644:share/bash-completion/completions/lbd:packaging/completions.bash \
	644:$(ZSH_DIR)/_guideway:packaging/completions.zsh \
	644:$(SYSTEMD_DIR)/lbd.service:$B/lbd.service

installed_mode   = $(word 1,$(subst :, ,$(1)))
installed_path   = '$(DESTDIR)$(PREFIX)/$(word 2,$(subst :, ,$(1)))'
installed_source = $(word 3,$(subst :, ,$(1)))

install: all ## install below $(DESTDIR)$(PREFIX): programs, manual pages, completions, a systemd unit
	$(call say,UNIT,$B/lbd.service)sed 's,@SBINDIR@,$(PREFIX)/sbin,' packaging/lbd.service.in >$B/lbd.service
	$(call say,INSTALL,$(DESTDIR)$(PREFIX))set -e; $(foreach file,$(INSTALLED), \
	  install -D -m $(call installed_mode,$(file)) $(call installed_source,$(file)) $(call installed_path,$(file));)

uninstall: ## remove what was installed; what lbd has attached stays: `lbd --detach` first
	$(call say,REMOVE,$(DESTDIR)$(PREFIX))rm -f $(foreach file,$(INSTALLED),$(call installed_path,$(file)))

.PHONY: install uninstall
