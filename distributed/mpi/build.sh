#!/usr/bin/env bash
# Builds the MPI plug-in with a site's own MPI. Needs a C compiler and that MPI's mpicc (MPI-3 or newer); no root, no C++.
#
#   build.sh [--to FOLDER] [MPICC]
#
# MPICC is the compiler wrapper (default: $MPICC, else mpicc). Run it with the modules that jobs will have loaded.
# Without --to the plug-in becomes lib/site/liblockstep_mpi.so of the installation that this script lies in, which goes before the bundled
# lib/liblockstep_mpi.so; to go back, remove it. Elsewhere it is used where the variable LOCKSTEP_MPI_PLUG_IN names it.
# The program that tries it is that installation's bin/lockstep, or $LOCKSTEP.
set -u

here=$(cd "$(dirname "$0")" && pwd)
prefix=${here%/share/lockstep/mpi}
to=
mpicc=
usage() {
  echo "usage: $0 [--to FOLDER] [MPICC]" >&2
  exit 64
}
stop() {
  echo "build.sh: $1" >&2
  exit "${2:-1}"
}
while [ $# -gt 0 ]; do
  case $1 in
    --to)
      [ $# -ge 2 ] || usage
      to=$2
      shift
      ;;
    --to=*) to=${1#--to=} ;;
    -*) usage ;;
    *)
      [ -z "$mpicc" ] || usage
      mpicc=$1
      ;;
  esac
  shift
done
mpicc=${mpicc:-${MPICC:-mpicc}}

named=$to
if [ -z "$to" ]; then
  [ "$prefix" != "$here" ] || stop "not inside an installation: name a folder for the plug-in: $0 --to FOLDER $mpicc" 64
  to=$prefix/lib/site
fi
lockstep=${LOCKSTEP:-}
if [ -z "$lockstep" ] && [ "$prefix" != "$here" ]; then lockstep=$prefix/bin/lockstep; fi

found=$(command -v "$mpicc") || stop "\"$mpicc\" is not there: load the module of your MPI, or name its compiler wrapper: $0 /path/to/mpicc" 64
work=$(mktemp -d) || stop "no temporary folder: set TMPDIR" 74
trap 'rm -rf "$work"' EXIT
built=$work/liblockstep_mpi.so

compile() {
  "$found" -std=c99 -O2 -fPIC -shared -o "$built" "$here/mpi_calls.c" "$@" >"$work/log" 2>&1 || {
    cat "$work/log" >&2
    stop "\"$found\" does not compile $here/mpi_calls.c: expected the wrapper of an MPI-3 library"
  }
}
compile
# Again with the folder of the MPI that was found, as a RUNPATH: LD_LIBRARY_PATH goes before it, and the program's own folders, where an
# MPI of the same name may lie, are not asked.
run_path=$(ldd "$built" 2>/dev/null | sed -n 's|.*=> *\(/.*\)/lib[^/]*mpi[^/]*\.so.*|-Wl,-rpath,\1|p' | sort -u | tr '\n' ' ')
# shellcheck disable=SC2086  # one word for each folder
[ -z "$run_path" ] || compile -Wl,--enable-new-dtags $run_path

# It must load into the program, with the libraries that this shell finds.
answer=
if [ -n "$lockstep" ]; then
  fact=$(LOCKSTEP_MPI_PLUG_IN=$built "$lockstep" --version 2>&1 | sed -n 's/^ *MPI plug-in *//p')
  case $fact in
    "$built ("*) answer=${fact#"$built "} ;;
    *) stop "built, but \"$lockstep\" cannot use it: ${fact:-it does not run}; load the modules that jobs will have" ;;
  esac
fi

# And two ranks should meet. That can fail for reasons of this host (login nodes may not start ranks), so it only warns.
met=
for name in mpirun mpiexec; do
  launcher=$(dirname "$found")/$(basename "$found" | sed "s/mpicc/$name/")
  if [ -n "$lockstep" ] && [ -z "$met" ] && [ "$launcher" != "$found" ] && [ -x "$launcher" ]; then
    if LOCKSTEP_MPI_PLUG_IN=$built timeout 60 "$launcher" -np 2 "$lockstep" ranks >"$work/ranks" 2>&1 && grep -q '^2 ranks over ' "$work/ranks"; then
      met="2 ranks of $launcher met"
    else
      met="2 ranks of $launcher did not meet here: $(grep -m1 'lockstep: ' "$work/ranks" || tail -1 "$work/ranks")"
    fi
  fi
done

mkdir -p "$to" 2>/dev/null && cp "$built" "$to/.liblockstep_mpi.so.new" 2>/dev/null && mv "$to/.liblockstep_mpi.so.new" "$to/liblockstep_mpi.so" ||
  stop "cannot write to \"$to\": name another folder, one that all hosts see: $0 --to FOLDER $mpicc" 74
to=$(cd "$to" && pwd)

echo "built    $to/liblockstep_mpi.so with $found"
if [ -n "$lockstep" ]; then echo "answers  ${answer#\(}" | sed 's/)$//'; else echo "answers  not tried: no lockstep program is named; set LOCKSTEP"; fi
echo "ranks    ${met:-not tried: no mpirun beside $found; try: srun -n 2 lockstep ranks}"
if [ -n "$named" ]; then
  echo "use      export LOCKSTEP_MPI_PLUG_IN=$to/liblockstep_mpi.so"
else
  echo "use      nothing to do: it goes before $prefix/lib/liblockstep_mpi.so; remove it to go back"
fi
