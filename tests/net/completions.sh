#!/usr/bin/env bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
# What bash and zsh offer for a command line of lbctl or lbd.
# shellcheck source-path=SCRIPTDIR
. "$(dirname "$0")/lib.sh"

offers_bash() { # LINE
	PATH=$GUIDEWAY_BUILD:$PATH bash --norc -c '
		. "$1"
		COMP_LINE=$2 COMP_POINT=${#2}
		_guideway
		printf "%s\n" "${COMPREPLY[@]}"' - "$top/packaging/completions.bash" "$1" | sort
}

# The builtins that zsh has in its line editor alone are played by functions.
offers_zsh() { # LINE
	PATH=$GUIDEWAY_BUILD:$PATH zsh -f -c '
		compadd() {
			while [[ $1 != -- ]]; do shift; done
			shift
			for offer; do [[ $offer != $PREFIX* ]] || print -r -- $offer; done
		}
		compset() {
			[[ $PREFIX = ${~2}* ]] || return 1
			PREFIX=${PREFIX#${~2}}
		}
		_files() { print -rl -- $PREFIX*(N) }
		words=(${(z)2}) PREFIX=
		[[ $2 = *" " ]] && words+=("") || PREFIX=$words[-1]
		CURRENT=$#words
		source $1' - "$top/packaging/completions.zsh" "$1" | sort -u
}

completes() { # bash|zsh
	local offers=offers_$1 control="--control $GUIDEWAY_LAB_DIR/node1/lbd.sock"
	same "$($offers "lbctl ba")" backends
	same "$($offers "lbctl backends " | xargs)" "drain list undrain"
	same "$($offers "lbctl flows delete --" | xargs)" "--backend --bpffs --client --control --help --output --service --version"
	same "$($offers "lbctl -o " | xargs)" "json name table wide yaml"
	same "$($offers "lbd --ho")" --hook
	same "$($offers "lbd --hook xdp" | xargs)" "xdp xdp-generic"
	same "$($offers "lbd --source " | xargs)" "file: kubernetes"
	# Names are the daemon's.
	same "$($offers "lbctl $control services describe ")" default/web
	same "$($offers "lbctl $control backends list --service default/w")" default/web
	same "$($offers "lbctl $control backends drain 10" | wc -l)" 2
	same "$($offers "lbctl ring show ")" ""
}

bash_keeps_what_is_before_a_colon() {
	local control="--control $GUIDEWAY_LAB_DIR/node1/lbd.sock" address
	address=$(lab lbctl backends list -o name | head -n 1)
	# Its words end at colons: what comes after is replaced.
	same "$(offers_bash "lbctl $control backends drain ${address%:*}:")" "${address##*:}"
	same "$(cd "$top" && offers_bash "lbd --source file:tests/fixtures/web" | xargs)" \
		"tests/fixtures/web.json tests/fixtures/web.yaml"
	same "$(cd "$top" && offers_bash "lbd --source=file:tests/fixt")" tests/fixtures/
	same "$(offers_bash "lbctl --output=y")" yaml
}

lab up --replicas 2 >/dev/null
check "bash completes" completes bash
check "bash keeps what is before a colon" bash_keeps_what_is_before_a_colon
check "zsh completes" completes zsh
tests_end
