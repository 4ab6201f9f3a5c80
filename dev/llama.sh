# How this project gets llama.cpp: version, source archive, build. Sourced by dev/bootstrap and
# Benchmarks/compare-llama.cpp, so that both build from the same tree. Needs dev/common.sh.
# shellcheck shell=bash
# shellcheck disable=SC2154,SC2034  # root, deps, cache and logs come from dev/common.sh; users read the rest

# The Python package's source archive carries the llama.cpp tree; nothing of Python in it is used.
llama_package=llama-cpp-python
llama_version=0.3.36
llama_archive_name=llama_cpp_python-$llama_version.tar.gz
llama_archive_sha256=832db0699007f1be95a7e41ef12e88926b02ba836461e36a36372db2760c1a2e

# Our changes to that tree, each a file that says why. A newer llama.cpp may make them needless.
llama_patches=("$root"/dev/patches/*.patch)
llama_patch_key=$(cat "${llama_patches[@]}" | sha256_of_text | cut -c 1-8)

llama_cache=$cache/llama
# The tree as it is released, and with our changes.
llama_stock_source=$llama_cache/source-$llama_version
llama_source=$llama_stock_source-$llama_patch_key

# Static, because the demo's binary then runs wherever it is copied on this kind of machine. No OpenMP:
# the engine's own thread pool obeys our affinity settings. RPC: the library can use devices of other hosts.
llama_common_flags=(
  -DCMAKE_BUILD_TYPE=Release -DBUILD_SHARED_LIBS=OFF -DCMAKE_INSTALL_LIBDIR=lib
  -DCMAKE_POSITION_INDEPENDENT_CODE=ON -DGGML_NATIVE=ON -DGGML_OPENMP=OFF -DGGML_RPC=ON
  -DLLAMA_BUILD_APP=OFF -DLLAMA_BUILD_TESTS=OFF -DLLAMA_BUILD_SERVER=OFF -DLLAMA_CURL=OFF
)
# Without AMX, whatever the CPU says. Its kernels load a tile configuration once for each thread and rely on it
# for good, and some virtual machines lose it when they switch: the next tile instruction then ends the
# process (SIGILL). To have it anyway: WANSPEC_CMAKE_ARGS="-DCMAKE_C_FLAGS= -DCMAKE_CXX_FLAGS=".
llama_no_amx='-mno-amx-tile -mno-amx-int8 -mno-amx-bf16'
# shellcheck disable=SC2086
if grep -qs -m 1 -w amx_tile /proc/cpuinfo && c++ $llama_no_amx -E -x c++ /dev/null >/dev/null 2>&1; then
  llama_common_flags+=("-DCMAKE_C_FLAGS=$llama_no_amx" "-DCMAKE_CXX_FLAGS=$llama_no_amx")
fi
# `common` has the chat templates: Jinja, the formats of tool calls, their parsers.
llama_library_flags=(
  -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=OFF -DLLAMA_BUILD_EXAMPLES=OFF -DLLAMA_OPENSSL=OFF
)
llama_program_flags=(
  -DLLAMA_BUILD_COMMON=ON -DLLAMA_BUILD_TOOLS=ON -DLLAMA_BUILD_EXAMPLES=ON
  -DLLAMA_BUILD_SERVER=ON -DLLAMA_BUILD_UI=OFF -DLLAMA_USE_PREBUILT_UI=OFF -DLLAMA_OPENSSL=OFF
)
# Free CMake arguments of the user, split at spaces: WANSPEC_CMAKE_ARGS="-DGGML_CUDA=ON".
read -r -a llama_user_flags <<<"${WANSPEC_CMAKE_ARGS:-}"

# Names the build: same flags, compiler and CPU features, same result. A cache on a shared home directory
# thus never gives one machine instructions that only another has.
llama_build_key() {
  {
    printf '%s\n' "$llama_archive_sha256" "$llama_patch_key" "$(uname -sm)" "${llama_common_flags[@]}" "${llama_library_flags[@]}"
    printf '%s\n' "${llama_user_flags[@]+"${llama_user_flags[@]}"}" "$(c++ --version | head -n 1)"
    if [ -r /proc/cpuinfo ]; then
      grep -m 1 -E '^(flags|Features)' /proc/cpuinfo || true
    else
      sysctl -n machdep.cpu.brand_string 2>/dev/null || true
    fi
  } | sha256_of_text | cut -c 1-12
}

# The interpreter whose pip fetches the archive: the system's, or one of our own where that has no pip.
python_with_pip() {
  if python3 -c 'import pip' 2>/dev/null; then
    echo python3
  else
    make_venv >&2
    echo "$deps/venv/bin/python"
  fi
}

make_venv() {
  if [ -x "$deps/venv/bin/pip" ] && [ -e "$deps/venv/complete" ]; then return; fi
  rm -rf "$deps/venv"
  step "making a Python environment" "$logs/venv.log" "it needs python3 with its venv module" \
    python3 -m venv "$deps/venv"
  touch "$deps/venv/complete"
}

# A CMake that is new enough and Ninja, from the system where it has them. Sets `cmake` and `ninja`.
find_build_tools() {
  cmake=$(command -v cmake || true)
  ninja=$(command -v ninja || true)
  if [ -n "$cmake" ] && ! "$cmake" --version | awk '
      NR == 1 { split($3, v, "."); exit !(v[1] > 3 || (v[1] == 3 && v[2] >= 18)) }'; then
    cmake=
  fi
  if [ -n "$cmake" ] && [ -n "$ninja" ]; then return; fi
  make_venv
  if [ ! -x "$deps/venv/bin/cmake" ] || [ ! -x "$deps/venv/bin/ninja" ]; then
    step "installing CMake and Ninja in .deps/venv" "$logs/build-tools.log" \
      "it needs the Python package index once; or install cmake 3.18+ and ninja with your system's packages" \
      "$deps/venv/bin/python" -m pip install --disable-pip-version-check --retries 2 --only-binary :all: 'cmake>=3.24,<5' ninja
  fi
  cmake=$deps/venv/bin/cmake
  ninja=$deps/venv/bin/ninja
}

# fetch_llama_source FOLDER: the checked source tree, with our changes if FOLDER is $llama_source. Needs the lock.
fetch_llama_source() {
  local source=$1 archive=$llama_cache/$llama_archive_name python got each
  if [ -e "$source/.complete" ]; then return; fi
  mkdir -p "$llama_cache"
  rm -rf "$llama_cache/download"
  if [ -e "$archive" ] && [ "$(sha256_of "$archive")" != "$llama_archive_sha256" ]; then
    note "  $archive is damaged; fetching it again"
    rm -f "$archive"
  fi
  if [ ! -e "$archive" ]; then
    python=$(python_with_pip)
    mkdir -p "$llama_cache/download"
    step "downloading llama.cpp's source (77 MB)" "$logs/llama-download.log" \
      "no network, and no copy in the cache: put $llama_archive_name in $llama_cache, or install llama.cpp with its llama.pc and set WANSPEC_LLAMA_PC" \
      "$python" -m pip download --disable-pip-version-check --retries 2 --no-deps --no-binary "$llama_package" \
      --dest "$llama_cache/download" "$llama_package==$llama_version"
    got=$(sha256_of "$llama_cache/download/$llama_archive_name")
    [ "$got" = "$llama_archive_sha256" ] ||
      die "the llama.cpp archive has SHA-256 $got instead of $llama_archive_sha256" \
        "the download was damaged or tampered with; run it again"
    mv "$llama_cache/download/$llama_archive_name" "$archive"
    rm -rf "$llama_cache/download"
  fi
  rm -rf "$source" "$source.tmp"
  mkdir -p "$source.tmp"
  step "unpacking llama.cpp" "$logs/llama-unpack.log" "is the disk full?" \
    tar -xzf "$archive" -C "$source.tmp" --strip-components=3 \
    "llama_cpp_python-$llama_version/vendor/llama.cpp"
  # It was a submodule; the repository that this names is not there.
  rm -f "$source.tmp/.git"
  if [ "$source" = "$llama_source" ]; then
    for each in "${llama_patches[@]}"; do
      # Were the cache inside some repository, git would take the paths for that one's and skip them.
      step "applying $(basename "$each")" "$logs/llama-patch.log" "it does not fit llama.cpp $llama_version" \
        env GIT_CEILING_DIRECTORIES="$llama_cache" git -C "$source.tmp" apply "$each"
    done
  fi
  touch "$source.tmp/.complete"
  mv "$source.tmp" "$source"
}
