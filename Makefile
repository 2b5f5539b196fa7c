# SPDX-License-Identifier: MIT OR GPL-2.0-only
# Guideway. `make help` lists the targets; V=1 shows the commands.

PREFIX     ?= /usr/local
CLANG      ?= clang
BPFTOOL    ?= /usr/sbin/bpftool
CLANG_FMT  ?= clang-format
ARCH       := $(shell uname -m | sed 's/x86_64/x86/; s/aarch64/arm64/')
VERSION    := $(shell cat VERSION)
B          ?= build

# All that is needed to build and test, by Debian's names.
PACKAGES := gcc make pkg-config clang llvm libbpf-dev libxdp-dev libmnl-dev libuv1-dev \
	libcurl4-openssl-dev libjansson-dev libyajl-dev libyaml-dev libmicrohttpd-dev libcmocka-dev \
	libhiredis-dev redis-tools \
	bpftool iproute2 nftables curl iperf3 jq socat util-linux procps clang-format zsh systemd man-db

# Another apt-get may be at work; it ends.
APT_WAIT := -o DPkg::Lock::Timeout=300

CPPFLAGS += -D_GNU_SOURCE -DLB_VERSION='"$(VERSION)"' -Iinclude -Iuser/lib -Iuser/lbd -I$B
CFLAGS   ?= -O2 -g
CFLAGS   += -std=gnu11 -Wall -Wextra -Wshadow -Wstrict-prototypes -Wmissing-prototypes
BPFFLAGS := -O2 -g -fno-strict-aliasing -target bpf -D__TARGET_ARCH_$(ARCH) -mcpu=v3 -I. -Iinclude -Ibpf -Wall -Wextra -Wno-unused-function
ifdef WERROR
CFLAGS   += -Werror
BPFFLAGS += -Werror
endif
LBD_LIBS     := -lxdp -lbpf -lmnl -luv -lcurl -lresolv -ljansson -lyaml -lmicrohttpd
LBCTL_LIBS   := -lbpf -lcurl -lyajl -lyaml
REPLICA_LIBS := -lmicrohttpd -ljansson -lhiredis
TEST_LIBS    := -lcmocka

ifeq ($(V),1)
say =
else
say = @printf '  %-8s %s\n' $(1) $(2);
endif

objects  = $(patsubst %.c,$B/%.o,$(wildcard $(1)))
LIB      := $(call objects,user/lib/*.c)
LBD      := $(filter-out $B/user/lbd/lbd.o,$(call objects,user/lbd/*.c))
PROGRAMS := $(addprefix $B/,lbd lbctl replica lab-objects redis-server)
UNIT     := $(patsubst tests/unit/%.c,$B/tests/%,$(wildcard tests/unit/unit_*.c))
PACKET   := $(patsubst tests/packet/%.c,$B/tests/%,$(wildcard tests/packet/packet_*.c))
TOOLS    := $(patsubst tests/tools/%.c,$B/tests/%,$(filter-out %.bpf.c,$(wildcard tests/tools/*.c)))

all: $(PROGRAMS) ## build lbd, lbctl and replica
	@:

help: ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-14s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

deps: ## install the Debian packages that are missing
	@missing=; for p in $(PACKAGES); do \
	  [ "$$(dpkg-query -W -f '$${db:Status-Status}' $$p 2>/dev/null)" = installed ] || missing="$$missing $$p"; \
	done; [ -z "$$missing" ] || { echo "  APT     $$missing"; apt-get $(APT_WAIT) update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get $(APT_WAIT) install -y -qq --no-install-recommends $$missing >$(or $(TMPDIR),/tmp)/guideway-apt.log 2>&1 || \
	  { cat $(or $(TMPDIR),/tmp)/guideway-apt.log >&2; exit 1; }; }

DEMO ?= info
demo: deps ## 5 replicas behind one address, scaled and killed; DEMO=sale, coinflip, hello, l4: more stories
	@$(MAKE) --no-print-directory all
	@[ -x lab/demos/$(DEMO) ] || { echo "make demo: DEMO=$(DEMO): no such story; there are info sale coinflip hello l4" >&2; exit 2; }
	@lab/demos/$(DEMO)

check: deps ## build and run every test
	@$(MAKE) --no-print-directory all tests check-layers check-format
	@tests/run

check-soak: deps ## floods, crashes and hundreds of events: minutes each
	@$(MAKE) --no-print-directory all tests
	@GUIDEWAY_SOAK=1 tests/run

check-kernels: deps ## Debian's kernels 6.1, 6.12 and 7.x in QEMU guests: ten minutes each, half an hour on a busy machine
	@$(MAKE) --no-print-directory all tests
	@tests/kernels/run $(KERNELS)

mutate: deps ## break the code line by line: a test must fail each time; WORDS=icmp.txt: a choice; an hour
	@tests/mutate/run $(WORDS)

tests: $(UNIT) $(PACKET) $(TOOLS) ## build the tests

# ---- BPF: steps -> one object -> skeleton
$B/lb.bpf.o: bpf/lb.bpf.c $(wildcard bpf/*.h) vmlinux.h include/lb.h include/hash.h | $B/
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $@

$B/lb.skel.h: $B/lb.bpf.o
	$(call say,SKEL,$@)$(BPFTOOL) gen skeleton $< name lb_bpf >$@

vmlinux-header: ## regenerate vmlinux.h from the running kernel
	$(BPFTOOL) btf dump file /sys/kernel/btf/vmlinux format c >vmlinux.h

# ---- user space
$B/%.o: %.c Makefile VERSION
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c $< -o $@

$(call objects,user/lbd/datapath*.c) $(call objects,tests/packet/*.c tests/unit/unit_verifier.c): $B/lb.skel.h

$B/libguideway.a: $(LIB)
	$(call say,AR,$@)rm -f $@; $(AR) rcs $@ $^

$B/liblbd.a: $(LBD)
	$(call say,AR,$@)rm -f $@; $(AR) rcs $@ $^

$B/lbd: $B/user/lbd/lbd.o $B/liblbd.a $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LBD_LIBS) -o $@

$B/lbctl: $(call objects,user/lbctl/*.c) $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(LBCTL_LIBS) -o $@

$B/replica: $(call objects,user/replica/*.c) $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(REPLICA_LIBS) -o $@

$B/lab-objects: $B/lab/objects.o $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ -ljansson -lyaml -o $@

# Debian's Redis goes by this name, too. The package redis-server, which has the link, would
# start one on the machine that it is installed on.
$B/redis-server: | $B/
	$(call say,LINK,$@)ln -sf /usr/bin/redis-check-rdb $@

# ---- tests
$(UNIT): $B/tests/%: $B/tests/unit/%.o $(filter-out $B/tests/unit/unit_%.o,$(call objects,tests/unit/*.c)) $B/liblbd.a $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(TEST_LIBS) $(LBD_LIBS) -lm -o $@

$(PACKET): $B/tests/%: $B/tests/packet/%.o $(filter-out $B/tests/packet/packet_%.o,$(call objects,tests/packet/*.c)) $B/liblbd.a $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(TEST_LIBS) $(LBD_LIBS) -lm -o $@

$(TOOLS): $B/tests/%: $B/tests/tools/%.o $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) $^ $(TOOL_LIBS) -lm -o $@

# Somebody else's XDP program.
$B/tests/xdp_chain: TOOL_LIBS := -lxdp -lbpf
$B/tests/tools/xdp_chain.o: CPPFLAGS += -I$B/tests
$B/tests/tools/xdp_chain.o: $B/tests/foreign.skel.h
$B/tests/foreign.skel.h: tests/tools/foreign.bpf.c vmlinux.h
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $B/tests/foreign.bpf.o && \
	  $(BPFTOOL) gen skeleton $B/tests/foreign.bpf.o name foreign_bpf >$@

# ---- measurements: one BPF object and one runner each
$B/bench/%.skel.h: bench/%.bpf.c $(wildcard bench/*.h) vmlinux.h include/lb.h include/hash.h
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $B/bench/$*.bpf.o && \
	  $(BPFTOOL) gen skeleton $B/bench/$*.bpf.o name $*_bpf >$@

$B/bench/%: bench/%.c $B/bench/%.skel.h $B/tests/packet/world.o $B/tests/packet/frame.o $B/libguideway.a
	$(call say,LD,$@)$(CC) $(CPPFLAGS) -I$B/bench $(CFLAGS) $< $(filter %.o %.a,$^) -lbpf -o $@

# The same with the datapath that counts in the datapath's place.
$B/bench/counting/lb.skel.h: bench/lookups.bpf.c $(wildcard bpf/*.[ch]) vmlinux.h include/lb.h include/hash.h
	@mkdir -p $(@D)
	$(call say,BPF,$@)$(CLANG) $(BPFFLAGS) -c $< -o $(@D)/lb.bpf.o && \
	  $(BPFTOOL) gen skeleton $(@D)/lb.bpf.o name lb_bpf >$@

$B/bench/packet_lookups: bench/packet.c $B/bench/packet.skel.h $B/bench/counting/lb.skel.h tests/packet/world.c $B/tests/packet/frame.o $B/libguideway.a
	$(call say,LD,$@)$(CC) -I$B/bench/counting $(CPPFLAGS) -I$B/bench $(CFLAGS) $< tests/packet/world.c $(filter %.o %.a,$^) -lbpf -o $@

bench-packet: $B/bench/packet $B/bench/packet_lookups ## nanoseconds and look-ups per packet, beside a bare program
	@$B/bench/packet $(ROW)
	@$B/bench/packet_lookups $(ROW)

bench-layout: $B/bench/flow_layout ## the two layouts of the flow tables, side by side
	@$<

bench-lbctl: all ## what lbctl's answers cost with 10,000 backends
	@bench/lbctl

# ---- fuzzing: libFuzzer, with the address and undefined-behaviour sanitizers
FUZZ      := manifest options answer packet
FUZZ_RUNS ?= 1000000

fuzz: ## random input against every parser; FUZZ_RUNS=N inputs each
	@$(MAKE) --no-print-directory deps PACKAGES='$(PACKAGES) libclang-rt-14-dev'
	@$(MAKE) --no-print-directory B=build-fuzz CC=$(CLANG) LDFLAGS="-fsanitize=address,undefined" \
	  CFLAGS="-O1 -g -fsanitize=address,undefined,fuzzer-no-link -fno-sanitize-recover=undefined" \
	  $(FUZZ:%=build-fuzz/tests/fuzz_%)
	@for f in $(FUZZ); do tests/fuzz/run build-fuzz/tests/fuzz_$$f $(FUZZ_RUNS) || exit 1; done

# The datapath's headers, as the kernel has its types; unaligned as on a frame.
$B/tests/fuzz/fuzz_packet.o: CPPFLAGS += -I. -Ibpf -Wno-unknown-attributes -Wno-missing-declarations
$B/tests/fuzz/fuzz_packet.o: override CFLAGS += -fno-sanitize=alignment
$B/tests/fuzz/fuzz_answer.o: CPPFLAGS += -Iuser/lbctl
$B/tests/fuzz_%: $B/tests/fuzz/fuzz_%.o $B/user/lbctl/answer.o $B/liblbd.a $B/libguideway.a
	$(call say,LD,$@)$(CC) $(LDFLAGS) -fsanitize=fuzzer $^ $(LBD_LIBS) -lyajl -o $@

check-layers: ## includes go one way: include/ <- user/lib <- user/lbd, user/lbctl
	@tests/check-layers

SOURCES = $(wildcard bpf/*.[ch] include/*.h user/*/*.[ch] lab/*.c tests/*/*.[ch] bench/*.[ch])
format: ## format the sources
	@$(CLANG_FMT) -i $(SOURCES)

# Another version of clang-format has other opinions: Debian 12's counts.
check-format: ## fail where `make format` would change a file
	@case "$$($(CLANG_FMT) --version)" in *' version 14.'*) $(CLANG_FMT) --dry-run -Werror $(SOURCES);; esac

# ---- clusters
kind: image ## a kind cluster without kube-proxy, Guideway and a demo application on it
	@k8s/kind up

kind-down: ## the cluster of `make kind` is gone
	@k8s/kind down

check-kind: image ## tests on a real cluster: that of KUBECONFIG, or of `make kind`
	@$(MAKE) --no-print-directory tests
	@k8s/kind up
	@GUIDEWAY_KIND=1 KUBECONFIG=$${KUBECONFIG:-$B/kind.kubeconfig} tests/run

include packaging/install.mk packaging/deb.mk packaging/image.mk

clean: ## remove the build
	rm -rf $B

$B/:
	@mkdir -p $B

-include $(shell find $B -name '*.d' 2>/dev/null)

.DELETE_ON_ERROR:
.SECONDARY:
.PHONY: all help deps demo check check-soak check-kernels mutate fuzz tests vmlinux-header check-layers format check-format bench-packet bench-layout bench-lbctl kind kind-down check-kind clean
