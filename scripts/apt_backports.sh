# shellcheck shell=bash
# Gives apt the backports of a Debian release, from the mirror that it has the release from. To be sourced.
#
# apt itself reads its configuration and says which entry holds the release: an entry that merely names the release may
# be anybody's repository. The entry of the backports is that entry with other suites, so that it keeps whatever the
# mirror needs: its path, further URIs, its key, restrictions to an architecture.

# has_backports RELEASE: whether one of apt's sources has the backports of the release.
has_backports() {
  # shellcheck disable=SC2016  # apt replaces $(RELEASE).
  apt-get indextargets --no-release-info --format '$(RELEASE)' | grep -x "$1-backports" >/dev/null
}

# release_entry RELEASE: FILE:NUMBER of the first entry that has Debian's release, in apt's order. The number is that of
# the line, or in a deb822 file (*.sources) of the stanza. Needs the indexes of an `apt-get update`: they name the
# origin. Installation media are left out, as they hold no backports.
release_entry() {
  # shellcheck disable=SC2016  # apt replaces $(SOURCESENTRY) and $(REPO_URI).
  apt-get indextargets --format '$(SOURCESENTRY) $(REPO_URI)' 'Target-Of: deb' 'Created-By: Packages' \
    'Origin: Debian' "Codename: $1" 'Component: main' |
    awk '$2 !~ /^cdrom:/ && !entry { entry = $1 } END { print entry; exit !entry }'
}

# backports_entry RELEASE FILE NUMBER: the entry of the backports, in the form of the file.
backports_entry() {
  local suite=$1-backports file=$2 number=$3
  case $file in
    *.sources) derive_stanza "$suite" "$number" <"$file" ;;
    *) derive_line "$suite" "$number" <"$file" ;;
  esac
}

# derive_line SUITE NUMBER: the line `deb [OPTION=VALUE ...] URI SUITE COMPONENT...` for another suite.
derive_line() {
  local form='^[[:space:]]*deb[[:space:]]+(\[[^]]*\][[:space:]]*)?([^[:space:]]+)[[:space:]]'
  [[ $(sed -n "$2p") =~ $form ]] || return 1
  echo "deb ${BASH_REMATCH[1]}${BASH_REMATCH[2]} $1 main"
}

# derive_stanza SUITE NUMBER: the stanza for another suite. Lines that begin with a blank continue a field.
derive_stanza() {
  awk -v suite="$1" -v wanted="$2" '
    /^#/ { next }
    /^[[:space:]]*$/ { inside = 0; next }
    !inside { inside = 1; stanza++ }
    stanza != wanted { next }
    /^[^[:space:]]/ { name = tolower($0); sub(/[[:space:]]*:.*/, "", name) }
    name ~ /^(types|suites|components|enabled)$/ { next }
    { kept = kept $0 "\n" }
    END { if (kept) printf "Types: deb\nSuites: %s\nComponents: main\n%s", suite, kept; exit !kept }'
}
