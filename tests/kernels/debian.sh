# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# Kernels from the Debian mirror that this machine uses already.  Suites other
# than its own are read by an apt of our own below $cache: nothing is written
# to /etc/apt or /var/lib/apt, and no kernel is installed.

PACKAGES=(qemu-system-x86 cpio kmod)
SUITES=(bookworm trixie trixie-backports sid)
LISTS_DAYS=7 # then they are fetched again

packages_install() {
	local package missing=()
	for package in "${PACKAGES[@]}"; do
		[[ $(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null) = installed ]] || missing+=("$package")
	done
	((${#missing[@]})) || return 0
	echo "  APT      ${missing[*]}"
	apt-get update -qq
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}" \
		>"$work/apt" 2>&1 || { cat "$work/apt" >&2 && die "can't install: ${missing[*]}"; }
}

# apt-get or apt-cache with our own lists.  Packages are checked with the keys
# that apt has.
apt_private() { # COMMAND ARGS...
	local command=$1
	shift
	"$command" -o Dir::Etc::SourceList="$cache/apt/sources.list" -o Dir::Etc::SourceParts=/dev/null \
		-o Dir::Etc::Preferences=/dev/null -o Dir::Etc::PreferencesParts=/dev/null \
		-o Dir::State::Lists="$cache/apt/lists" -o Dir::Cache="$cache/apt" -o APT::Sandbox::User=root \
		-o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false "$@"
}

# "URI KEYRING" of Debian's main archive, as apt knows it; KEYRING may be empty.
mirror() {
	local uri origin label
	# shellcheck disable=SC2016 # apt's variables
	while read -r uri origin label; do
		[[ $origin/$label != Debian/Debian ]] || { echo "$uri" && return; }
	done < <(apt-get indextargets --format '$(REPO_URI) $(ORIGIN) $(LABEL)' 'Identifier: Packages')
	die "no source of apt's is Debian's main archive"
}

lists_fetch() {
	local uri suite
	[[ -z $(find "$cache/apt/fetched" -mtime "-$LISTS_DAYS" 2>/dev/null) ]] || return 0
	mkdir -p "$cache/apt/lists/partial" "$cache/apt/archives/partial"
	uri=$(mirror)
	for suite in "${SUITES[@]}"; do
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $uri $suite main"
	done >"$cache/apt/sources.list"
	apt_private apt-get update -qq >&2 || die "can't read the lists of ${SUITES[*]}"
	touch "$cache/apt/fetched"
}

# The newest cloud kernel whose version begins so: "6.1.0-56-cloud-amd64".
kernel_newest() { # KERNEL
	apt_private apt-cache search --names-only "^linux-image-${1//./\\.}[.-].*cloud-amd64\$" |
		sed -n 's/^linux-image-\([^ ]*\) .*/\1/p' | sort -V | tail -n 1
}

# Its packages: one, or since 6.19 the image and the modules apart.
kernel_packages() { # RELEASE
	apt_private apt-cache depends --recurse --no-{recommends,suggests,conflicts,breaks,replaces,enhances} \
		"linux-image-$1" | grep -xE "linux-(image|binary|modules)-${1//[+.]/\\&}"
}

# Prints the release, whose kernel is then $cache/kernels/RELEASE/vmlinuz, the
# modules below lib/modules.
kernel_fetch() { # KERNEL
	local release packages dir=$work/kernel
	lists_fetch
	release=$(kernel_newest "$1")
	[[ -n $release ]] || die "$1: Debian has no cloud kernel of this version"
	echo "$release"
	[[ ! -e $cache/kernels/$release ]] || return 0
	rm -rf "$dir"
	mkdir -p "$dir/deb" "$dir/kernel/lib" "$cache/kernels"
	mapfile -t packages < <(kernel_packages "$release")
	(cd "$dir/deb" && apt_private apt-get download -qq "${packages[@]}") >&2
	for packages in "$dir"/deb/*.deb; do dpkg-deb -x "$packages" "$dir/root"; done
	mv "$(find "$dir/root" -name "vmlinuz*" -type f)" "$dir/kernel/vmlinuz"
	mv "$(find "$dir/root" -path '*/lib/modules' -type d)" "$dir/kernel/lib/modules"
	depmod -b "$dir/kernel" "$release" 2>/dev/null
	mv "$dir/kernel" "$cache/kernels/$release"
}
