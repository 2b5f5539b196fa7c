# shellcheck shell=bash
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# bash completes lbctl(8) and lbd(8) by this.  Commands and options are what --help
# says; names of services and backends are asked of lbctl, which asks the daemon, or
# reads the maps where none runs.

# "--option METAVAR" of each option that a command takes, METAVAR empty for a switch.
_guideway_options() { # PROGRAM WORD...
	"$@" --help 2>/dev/null | sed -nE 's/^ +(-., )?(--[a-z-]+)( ([^ ]+))? .*/\2 \4/p'
}

_guideway_commands() {
	"$1" --help 2>/dev/null | sed -nE '/^commands:/,/^$/ s/^  ([a-z]+( [a-z]+)?)( [A-Z[].*|  .*)$/\1/p'
}

_guideway_names() { # KIND
	timeout 3 "${ask[@]}" "$1" list -o name 2>/dev/null
}

_guideway_files() { # PREFIX CURRENT [-d]
	local file
	compgen "${3:--f}" -- "${2#"$1"}" | while read -r file; do
		if [[ -d $file ]]; then echo "$1$file/"; else echo "$1$file"; fi
	done
}

# What may stand for a METAVAR of --help.
_guideway_values() { # METAVAR CURRENT
	local part
	case $1 in
	NS/NAME | NS/NAME\[:PORT\]) _guideway_names services ;;
	ADDR\[:PORT\]) _guideway_names backends ;;
	FORMAT) printf '%s\n' table wide json yaml name ;;
	PATH | FILE) _guideway_files '' "$2" ;;
	DIR) _guideway_files '' "$2" -d ;;
	DEV) (cd /sys/class/net && printf '%s\n' *) ;;
	*\|*)
		while read -r part; do
			case $part in
			file:PATH) [[ $2 = file:* ]] && _guideway_files file: "$2" || echo file: ;;
			http:PATH) echo http:/ ;;
			*[A-Z]*) ;;
			*) echo "$part" ;;
			esac
		done <<<"${1//|/$'\n'}"
		;;
	esac
}

# The words of a command that are there already; and what follows them.
_guideway_operands() { # PROGRAM CURRENT WORD...
	local program=$1 current=$2 command
	shift 2
	while read -r command; do
		# One word of a command at a time.
		if (($# == 0)); then
			echo "${command%% *}"
		elif [[ $command = "$* "* ]]; then
			echo "${command#"$* "}"
		elif [[ $command = "$*" ]]; then
			_guideway_values "$("$program" "$@" --help 2>/dev/null |
				sed -nE "1s/^usage: lbctl $* ([^ ]+) .*/\\1/p")" "$current"
		fi
	done < <(_guideway_commands "$program") | sort -u
}

_guideway_candidates() { # CURRENT PREVIOUS-WORD...
	local current=$1 program=$2 option=${*: -1} words=() ask=(lbctl) metavar i
	local -A metavars=()
	shift 2
	while read -r i metavar; do metavars[$i]=$metavar; done < <(_guideway_options "$program")
	metavars[-o]=FORMAT
	# What isn't an option or its value is a command; where to ask is passed on.
	for ((i = 1; i <= $#; i++)); do
		if [[ ${!i} = -* && ${!i} != *=* && -n ${metavars[${!i}]-} ]]; then
			i=$((i + 1))
			[[ ${*:i-1:1} != --control && ${*:i-1:1} != --bpffs ]] || ask+=("${@:i-1:2}")
		elif [[ ${!i} = --control=* || ${!i} = --bpffs=* ]]; then
			ask+=("${!i}")
		elif [[ ${!i} != -* ]]; then
			words+=("${!i}")
		fi
	done
	if [[ $current = --*=* ]]; then
		option=${current%%=*}
		_guideway_values "${metavars[$option]-}" "${current#*=}" | sed "s,^,$option=,"
	elif (($#)) && [[ $option = -* && $option != *=* && -n ${metavars[$option]-} ]]; then
		_guideway_values "${metavars[$option]}" "$current"
	elif [[ $current = -* ]]; then
		_guideway_options "$program" "${words[@]}" | cut -d ' ' -f 1
	elif [[ $program = *lbctl ]]; then
		_guideway_operands "$program" "$current" "${words[@]}"
	fi
}

_guideway() {
	local line=${COMP_LINE:0:COMP_POINT} words current='' cut='' before mark candidate
	# As they were written: the shell's own words end at ":" and "=", too.
	read -ra words <<<"$line"
	if [[ $line != *[[:space:]] ]]; then
		current=${words[-1]}
		unset 'words[-1]'
	fi
	# It replaces what comes after those alone.
	for mark in : =; do
		[[ $COMP_WORDBREAKS = *$mark* && $current = *$mark* ]] || continue
		before=${current%"$mark"*}$mark
		((${#before} <= ${#cut})) || cut=$before
	done
	COMPREPLY=()
	while read -r candidate; do
		[[ $candidate = "$current"* ]] || continue
		COMPREPLY+=("${candidate#"$cut"}")
		[[ $candidate != *[:/] ]] || compopt -o nospace 2>/dev/null
	done < <(_guideway_candidates "$current" "${words[@]}")
}

complete -F _guideway lbctl lbd
