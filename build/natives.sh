#!/bin/sh
# Makes the two native libraries that rerankd needs, into .cache/natives/current:
#
#   libtokenizers.a     Hugging Face tokenizers behind a C interface, compiled from the Rust sources in the Go module's zip
#   libonnxruntime.so   ONNX Runtime, out of its wheel on the Python package index
#
# and the second one, compressed, at rerank/onnx/bundled/libonnxruntime.so.zst, where `go build -tags bundled` embeds it.
#
# Every input is pinned: the wheel and the library in it by digest, the Rust crates by build/tokenizers/Cargo.lock, the Go module by go.sum.
# Run again, it does nothing. Use: build/natives.sh
set -eu
cd "$(dirname "$0")/.."
root=$PWD

# Raise it when what is made below changes, other than by a version or a digest.
recipe=1
onnxruntime=1.32.0
tokenizers=$(sed -n 's|.*github.com/daulet/tokenizers v\([0-9.]*\).*|\1|p' go.mod)

fail() {
	echo "natives: error: $1" >&2
	echo "hint: $2" >&2
	exit 1
}

case "$(uname -s)-$(uname -m)" in
Linux-x86_64)
	arch=amd64
	platform=manylinux_2_28_x86_64
	wheel_sha256=5a34fc4dfeb5a7b4a74c95dcba1e773d722abda720b474edf1b0c419dc6d163d
	library_sha256=6c1585d1bbf45b0712ea4a21b705c5fcb4ba04ff2e30f1fbf81a49faf658638f
	;;
Linux-aarch64)
	arch=arm64
	platform=manylinux_2_28_aarch64
	wheel_sha256=2303372a85299b6757b0e11e1cbf13e410ddf7e10c37f4b37e99d1c90e7daf7c
	library_sha256=49852228a93995158b2a813d4df487d47a1b76b0eaa894507ef49e91b6d7954a
	;;
*)
	fail "no native libraries are known for $(uname -s) on $(uname -m)" \
		"put libtokenizers.a and libonnxruntime.so of your own into .cache/natives/current"
	;;
esac

# The folder's name says what is in it: the versions, and a digest of how it was made.
how=$({ echo "$recipe $library_sha256"; cat build/tokenizers/Cargo.lock; } | sha256sum | cut -c1-12)
key=tokenizers-$tokenizers-onnxruntime-$onnxruntime-$arch-$how
made=.cache/natives/$key
bundle=rerank/onnx/bundled/libonnxruntime.so.zst

place() {
	# The link and the embedded copy follow the folder. A hard link is as good as a copy and takes no time.
	ln -sfn "$key" .cache/natives/current
	if ! [ "$made/onnxruntime.zst" -ef "$bundle" ]; then
		mkdir -p "$(dirname "$bundle")"
		ln -f "$made/onnxruntime.zst" "$bundle" 2>/dev/null || cp "$made/onnxruntime.zst" "$bundle"
	fi
}

if [ -d "$made" ]; then
	place
	exit 0
fi

need() { command -v "$1" >/dev/null 2>&1 || fail "$1 is not installed" "$2"; }
need go "install Go 1.26 from your distribution or go.dev"
need cargo "install Rust 1.73 or later: rustup, or apt-get install cargo where that is new enough (Debian 13, Ubuntu 24.04)"
rust=$(cargo --version | sed -n 's/^cargo 1\.\([0-9]*\).*/\1/p')
[ "${rust:-99}" -ge 73 ] || fail "cargo is 1.$rust, and the crates need 1.73" "install a newer Rust with rustup"
need gcc "apt-get install gcc libc6-dev"
need g++ "apt-get install g++"
need python3 "apt-get install python3 python3-pip"
python3 -m pip --version >/dev/null 2>&1 || fail "python3 has no pip" "apt-get install python3-pip"

# Everything is made in a folder beside the target, which is then renamed: an interrupted run leaves nothing that looks done.
part=$root/.cache/natives/.part.$$
mkdir -p "$part"
trap 'rm -rf "$part"' EXIT
trap 'exit 130' INT TERM

echo "natives: ONNX Runtime $onnxruntime for linux/$arch"
echo "onnxruntime==$onnxruntime --hash=sha256:$wheel_sha256" >"$part/requirements.txt"
python3 -m pip download --quiet --disable-pip-version-check --no-deps --only-binary=:all: --require-hashes \
	--python-version 311 --implementation cp --abi cp311 --platform "$platform" \
	--requirement "$part/requirements.txt" --dest "$part/wheel"
python3 -m zipfile -e "$part"/wheel/onnxruntime-*.whl "$part/onnxruntime"
mkdir "$part/out"
mv "$part/onnxruntime/onnxruntime/capi/libonnxruntime.so.$onnxruntime" "$part/out/libonnxruntime.so"
echo "$library_sha256  $part/out/libonnxruntime.so" | sha256sum --check --quiet ||
	fail "libonnxruntime.so is not the one that was pinned" "see library_sha256 in build/natives.sh"
# Who passes the library on passes these on with it.
mkdir -p "$part/out/licenses/onnxruntime"
mv "$part/onnxruntime/onnxruntime/LICENSE" "$part/onnxruntime/onnxruntime/ThirdPartyNotices.txt" "$part/out/licenses/onnxruntime/"

echo "natives: compressing it for embedding"
CGO_ENABLED=0 go run ./build/zstd "$part/out/libonnxruntime.so" "$part/out/onnxruntime.zst"

echo "natives: tokenizers $tokenizers (Rust, about a minute)"
# Downloaded by name, and so checked against go.sum: the folder may not be there yet in a fresh clone.
go mod download github.com/daulet/tokenizers
source=$(go list -m -f '{{.Dir}}' github.com/daulet/tokenizers)
mkdir "$part/tokenizers"
cp -r "$source/crates/tokenizers/src" build/tokenizers/Cargo.lock "$part/tokenizers/"
# The module's own manifest takes tiktoken-rs from a git repository; the registry's 0.7 has the same interface. Its benchmarks are not for
# us, and without debugging information the library is a tenth of the size.
sed -e 's|^tiktoken-rs = .*|tiktoken-rs = "0.7"|' -e '/^\[dev-dependencies\]/,$d' "$source/crates/tokenizers/Cargo.toml" >"$part/tokenizers/Cargo.toml"
printf '[profile.release]\nlto = "thin"\nstrip = "debuginfo"\n' >>"$part/tokenizers/Cargo.toml"
chmod -R u+w "$part/tokenizers"
# Without this machine's paths in it the library is the same wherever it is made.
RUSTFLAGS="--remap-path-prefix=$part/tokenizers=tokenizers --remap-path-prefix=${CARGO_HOME:-$HOME/.cargo}=cargo" \
	cargo build --quiet --release --locked --manifest-path "$part/tokenizers/Cargo.toml" --target-dir "$part/target"
mv "$part/target/release/libtokenizers_ffi.a" "$part/out/libtokenizers.a"

mv "$part/out" "$made"
place
echo "natives: made $made"
