#compdef lbctl lbd
# SPDX-License-Identifier: MIT OR GPL-2.0-only
#
# zsh completes lbctl(8) and lbd(8) by this, as bash does by completion.bash: commands
# and options are what --help says, names are asked of lbctl.

_guideway_options() { # PROGRAM WORD...
	"$@" --help 2>/dev/null | sed -nE 's/^ +(-., )?(--[a-z-]+)( ([^ ]+))? .*/\2 \4/p'
}

_guideway_commands() { # PROGRAM
	"$1" --help 2>/dev/null | sed -nE '/^commands:/,/^$/ s/^  ([a-z]+( [a-z]+)?)( [A-Z[].*|  .*)$/\1/p'
}

_guideway_names() { # KIND
	compadd -- ${(f)"$(timeout 3 $ask $1 list -o name 2>/dev/null)"}
}

# What may stand for a METAVAR of --help.
_guideway_values() { # METAVAR
	local part
	case $1 in
	(NS/NAME|NS/NAME\[:PORT\]) _guideway_names services ;;
	(ADDR\[:PORT\]) _guideway_names backends ;;
	(FORMAT) compadd -- table wide json yaml name ;;
	(PATH|FILE) _files ;;
	(DIR) _files -/ ;;
	(DEV) compadd -- /sys/class/net/*(:t) ;;
	(*\|*)
		for part in ${(s:|:)1}; do
			case $part in
			(file:PATH) if compset -P file:; then _files; return; else compadd -S '' -- file:; fi ;;
			(http:PATH) compadd -S '' -- http:/ ;;
			(*[A-Z]*) ;;
			(*) compadd -- $part ;;
			esac
		done
		;;
	esac
}

_guideway_operands() { # PROGRAM WORD...
	local program=$1 command
	shift
	for command in ${(f)"$(_guideway_commands $program)"}; do
		if (( $# == 0 )); then
			compadd -- ${command%% *}
		elif [[ $command = "$* "* ]]; then
			compadd -- ${command#"$* "}
		elif [[ $command = "$*" ]]; then
			_guideway_values "$($program $@ --help 2>/dev/null | sed -nE "1s/^usage: lbctl $* ([^ ]+) .*/\\1/p")"
		fi
	done
}

_guideway() {
	emulate -L zsh
	local -a found ask=(lbctl)
	local -A metavars
	local program=$words[1] option=$words[CURRENT-1] line i
	for line in ${(f)"$(_guideway_options $program)"}; do metavars[${line%% *}]=${line#* }; done
	metavars[-o]=FORMAT
	# What isn't an option or its value is a command; where to ask is passed on.
	for (( i = 2; i < CURRENT; i++ )); do
		if [[ $words[i] = -* && -n ${metavars[$words[i]]-} ]]; then
			[[ $words[i] != (--control|--bpffs) ]] || ask+=($words[i,i+1])
			(( i++ ))
		elif [[ $words[i] = (--control|--bpffs)=* ]]; then
			ask+=($words[i])
		elif [[ $words[i] != -* ]]; then
			found+=($words[i])
		fi
	done
	if [[ $words[CURRENT] = --*=* ]]; then
		option=${words[CURRENT]%%=*}
		compset -P '--*='
		_guideway_values "${metavars[$option]-}"
	elif (( CURRENT > 2 )) && [[ $option = -* && -n ${metavars[$option]-} ]]; then
		_guideway_values $metavars[$option]
	elif [[ $words[CURRENT] = -* ]]; then
		compadd -- ${${(f)"$(_guideway_options $program $found)"}%% *}
	elif [[ ${program:t} = lbctl ]]; then
		_guideway_operands $program $found
	fi
}

_guideway "$@"
