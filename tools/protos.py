"""Compile the descriptors of our protocol files, which the hub loads instead of generated code. Needs grpcio-tools."""

from __future__ import annotations

import sys
from pathlib import Path

PROTO = Path(__file__).parents[1] / "aihub" / "serve" / "grpc" / "open_inference.proto"


def compile_descriptors(proto: Path, out: Path) -> None:
    """Write the descriptor set of one file.

    Raises:
        SystemExit: the compiler refused it and has said why.
    """
    from grpc_tools import protoc

    if protoc.main(["protoc", f"-I{proto.parent}", f"--descriptor_set_out={out}", str(proto)]):
        raise SystemExit(f"{proto} does not compile")


if __name__ == "__main__":
    compile_descriptors(PROTO, PROTO.with_suffix(".binpb"))
    sys.stdout.write(f"wrote {PROTO.with_suffix('.binpb').name}\n")
