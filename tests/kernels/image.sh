# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# The guest's initramfs: programs of this machine with their libraries, the
# kernel's modules, our build, and tests/kernels/init as the first process.

# All programs of these packages.
USERLAND=(bash coreutils util-linux mount procps grep sed findutils iproute2 kmod curl jq socat)
MODULES=(veth bridge dummy tun sch_ingress cls_bpf act_bpf virtio_pci virtio_net tcp_diag udp_diag)

# Paths as they are below /usr, where Debian has had everything since 12.
merged_usr() {
	sed -E 's,^/(s?bin|lib|lib64)/,/usr/\1/,' | sort -u
}

userland_programs() {
	dpkg -L "${USERLAND[@]}" | grep -E '^(/usr)?/s?bin/[^/]+$' | merged_usr
}

# The libraries that programs need, the loader included.
libraries() { # PROGRAM...
	{ ldd "$@" 2>/dev/null || true; } | # some are scripts
		sed -nE 's,^(.* => |[[:space:]]*)(/[^ ]+) \(.*,\2,p' | merged_usr
}

# What libxdp loads, whose path is compiled in.
dispatcher() {
	dpkg -L libxdp1 | grep '/xdp-dispatcher\.o$'
}

# What is the same for every kernel, in $work/root.
image_userland() {
	local root=$work/root name programs
	mkdir -p "$root"/{dev,proc,sys,run,tmp,root,etc,usr/{bin,sbin,lib,lib64}} "$root"/guideway/{build/tests,tests/net}
	for name in bin sbin lib lib64; do ln -s "usr/$name" "$root/$name"; done
	mapfile -t programs < <(userland_programs)
	cp -L --parents -t "$root" "${programs[@]}"
	cp "$(realpath "$(command -v awk)")" "$root/usr/bin/awk"
	ln -s bash "$root/usr/bin/sh"
	cp "$build"/{lbd,lbctl,replica,lab-objects} "$root/guideway/build"
	cp "$build"/tests/{packet_*,unit_datapath,unit_dispatcher,unit_verifier,flows,udp_echo,xdp_chain} "$root/guideway/build/tests"
	mapfile -t programs < <(find "$root/usr" "$root/guideway/build" -type f -executable)
	libraries "${programs[@]}" | xargs cp -L --parents -t "$root"
	cp --parents -t "$root" "$(dispatcher)"
	cp -r "$top/lab" "$root/guideway"
	cp "$top/tests/run" "$root/guideway/tests"
	cp "$top"/tests/net/{lib,exchange,dispatcher}.sh "$here"/{lab,virtio}.sh "$root/guideway/tests/net"
	cp "$here/init" "$root/init"
	echo "root:x:0:0::/root:/bin/bash" >"$root/etc/passwd"
	echo "127.0.0.1 localhost" >"$root/etc/hosts" # two labs at once have one
	echo "${GUIDEWAY_TESTS-}" >"$root/guideway/tests/wanted"
}

modules_wanted() { # RELEASE; prints paths below lib/modules
	local name
	for name in "${MODULES[@]}"; do
		# One that isn't there is built in, or what needs it fails.
		modprobe -q -d "$cache/kernels/$1" -S "$1" --show-depends "$name" || true
	done | sed -n 's/^insmod .*\(lib\/modules\/[^ ]*\) *$/\1/p' | sort -u
}

image_build() { # RELEASE FILE
	local modules=$work/modules
	rm -rf "$modules"
	mkdir -p "$modules/usr"
	(
		cd "$cache/kernels/$1"
		cp --parents "lib/modules/$1"/modules.* "$modules/usr"
		modules_wanted "$1" | xargs cp --parents -t "$modules/usr"
	)
	{
		(cd "$work/root" && find . | cpio -o -H newc -R 0:0 --quiet)
		(cd "$modules" && find . | cpio -o -H newc -R 0:0 --quiet)
	} >"$2"
}
