#!/usr/bin/env bash
# Check and measure the GPU kernels, in one command of at most 8 minutes:
#
#     benchmarks/gpu.sh RESULTS [SDISTS]
#
# RESULTS  folder for what is found: versions.txt, JSON files, a log of every step
# SDISTS   folder with mamba_ssm-*.tar.gz and causal_conv1d-*.tar.gz, to compare with (pip download
#          --no-deps --no-binary :all: mamba-ssm causal-conv1d). They are built for this card alone,
#          while the kernels are checked; those that are installed already are left as they are.
#
# Needs a CUDA GPU and python3 with torch, triton and numpy; for the builds nvcc, ninja and einops.
# No network, no pytest; seq2exp need not be installed. PYTHON names another python3.
# Exits with 1 if a kernel is wrong. A benchmark that fails or runs out of time is only reported.
set -uo pipefail

[ $# -ge 1 ] || { sed -n '2,14s/^# \{0,1\}//p' "$0"; exit 2; }
mkdir -p "$1"
results=$(cd "$1" && pwd)
sdists=${2:+$(cd "$2" && pwd)}
cd "$(dirname "$0")/.." || exit

PYTHON=${PYTHON:-python3}
LIMIT=470 # seconds in all
CHECKS=240 # of them at most for the checks
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
export PYTHONPATH=$PWD:$work/site${PYTHONPATH:+:$PYTHONPATH} PYTHONUNBUFFERED=1 PYTHONWARNINGS=ignore

# run NAME SECONDS COMMAND...: to the screen and to a log; at most so long, and never past the end
run() {
    local name=$1 seconds=$2 left=$((LIMIT - SECONDS)) began=$SECONDS
    shift 2
    [ "$left" -ge 10 ] || { echo "-- $name: no time left"; return 1; }
    echo "== $name"
    timeout "$((seconds < left ? seconds : left))" "$@" 2>&1 | tee "$results/$name.log"
    local status=${PIPESTATUS[0]}
    [ "$status" = 0 ] || echo "-- $name: exit $status after $((SECONDS - began)) s"
    return "$status"
}

versions() {
    nvidia-smi --query-gpu=name,driver_version,memory.total --format=csv,noheader
    "$PYTHON" - <<'PY'
import sys, torch, triton
assert torch.cuda.is_available(), "torch sees no GPU"
card = torch.cuda.get_device_properties(0)
print(f"{card.name}, compute capability {card.major}.{card.minor}, "
      f"{card.multi_processor_count} multiprocessors, {card.total_memory / 1e9:.0f} GB")
print(f"python {sys.version.split()[0]}, torch {torch.__version__}, triton {triton.__version__}")
PY
}

importable() { "$PYTHON" -c "import $1" 2>/dev/null; }

# build PACKAGE: from its sdist, for this card alone (setup.py compiles for up to nine)
build() {
    local sdist capability
    sdist=$(ls "$sdists/$1"-*.tar.gz | tail -1)
    capability=$("$PYTHON" -c 'import torch; print("%d%d" % torch.cuda.get_device_capability())')
    mkdir -p "$work/$1"
    tar xzf "$sdist" -C "$work/$1" --strip-components 1 && cd "$work/$1" || return 1
    sed -i -e 's/^\( *\)cc_flag\.append("-gencode")/\1pass/' \
        -e 's/^\( *\)cc_flag\.append("arch=.*/\1pass/' \
        -e "s/^\( *\)cc_flag = \[\]/&\n\1cc_flag += [\"-gencode\", \"arch=compute_$capability,code=sm_$capability\"]/" \
        setup.py
    # the scan alone: what else the package imports has needs of its own
    [ "$1" != mamba_ssm ] || sed -i -e '/^from mamba_ssm\.mod/d' mamba_ssm/__init__.py
    MAMBA_FORCE_BUILD=TRUE CAUSAL_CONV1D_FORCE_BUILD=TRUE MAMBA_KEEP_CUDA_BUILD=TRUE MAX_JOBS=$(nproc) \
        "$PYTHON" -m pip install --no-index --no-build-isolation --no-deps --target "$work/site" .
}

start_builds() {
    for package in causal_conv1d mamba_ssm; do
        if importable "$package"; then
            echo "$package is installed"
        elif compgen -G "$sdists/$package-*.tar.gz" >/dev/null; then
            echo "$package is being built"
            export -f build
            export PYTHON sdists work
            timeout "$((LIMIT - 60))" bash -c "build $package" >"$results/build_$package.log" 2>&1 &
            builds+=("$!")
        else
            echo "$package: neither installed nor in ${sdists:-a folder of sdists}; left out"
        fi
    done
}

builds=()
versions 2>&1 | tee "$results/versions.txt"
[ "${PIPESTATUS[0]}" = 0 ] || exit 1
start_builds

run check_kernels "$CHECKS" "$PYTHON" -m benchmarks.check_kernels --full \
    --json "$results/check_kernels.json"
correct=$?
run gpu_kernels 150 "$PYTHON" -m benchmarks.gpu_kernels --sweep --json "$results/gpu_kernels.json"

for process in "${builds[@]}"; do # leave time to measure
    while kill -0 "$process" 2>/dev/null && [ "$SECONDS" -lt $((LIMIT - 120)) ]; do sleep 1; done
    kill "$process" 2>/dev/null && echo "-- a build took too long"
done
for package in causal_conv1d mamba_ssm; do
    importable "$package" && echo "$package can be imported"
done

importable mamba_ssm && run mamba_ssm 60 "$PYTHON" -m benchmarks.gpu_kernels --kernels mamba_ssm \
    --json "$results/mamba_ssm.json"
run scan 60 "$PYTHON" -m benchmarks.scan --device cuda --lengths 64000 200000 \
    --json "$results/scan.json"
run all_models 90 "$PYTHON" -m benchmarks.all_models --json "$results/all_models.json"
for name in block step; do
    if [ -f "benchmarks/$name.py" ]; then
        run "$name" 120 "$PYTHON" -m "benchmarks.$name" --device cuda --json "$results/$name.json"
    else
        echo "-- $name: not there yet"
    fi
done
echo "$SECONDS s; results in $results"
exit "$correct"
