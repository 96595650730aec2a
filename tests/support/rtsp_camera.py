"""A camera that speaks RTSP: one client at a time gets a transport stream in RTP over its own
connection (RFC 2326).
"""

from __future__ import annotations

import re
import socketserver
import struct
import threading
import time
from pathlib import Path
from typing import Any, Self

import av

TRANSPORT_STREAM = 33  # payload type (RFC 3551)
CHUNK = 7 * 188  # bytes of a transport stream in a packet
SDP = """v=0
o=- 0 0 IN IP4 127.0.0.1
s=camera
c=IN IP4 127.0.0.1
t=0 0
m=video 0 RTP/AVP 33
a=control:1
""".replace("\n", "\r\n")


class Talk(socketserver.StreamRequestHandler):
    """Answers requests until PLAY, then sends the stream at its own pace and hangs up."""

    server: RtspCamera

    def handle(self) -> None:
        while request := self._read_request():
            method = request[0].split()[0]
            number = re.search(r"(?mi)^cseq: *(\d+)", "\n".join(request))
            self._answer(method, number[1] if number else "0")
            if method == "PLAY":
                self._play()
                return

    def _read_request(self) -> list[str]:
        lines = []
        while line := self.rfile.readline().decode().strip():
            lines.append(line)
        return lines

    def _answer(self, method: str, number: str) -> None:
        headers = ""
        body = ""
        if method == "OPTIONS":
            headers = "Public: OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN\r\n"
        elif method == "DESCRIBE":
            headers = f"Content-Type: application/sdp\r\nContent-Length: {len(SDP)}\r\n"
            body = SDP
        elif method == "SETUP":
            headers = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\nSession: 1\r\n"
        elif method == "PLAY":
            headers = "Session: 1\r\n"
        self.wfile.write(f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\n{headers}\r\n{body}".encode())

    def _play(self) -> None:
        content = self.server.content
        began = time.monotonic()
        num_packets = -(-len(content) // CHUNK)
        for index in range(num_packets):
            moment = self.server.seconds * index / num_packets
            time.sleep(max(began + moment - time.monotonic(), 0))
            payload = content[index * CHUNK : (index + 1) * CHUNK]
            packet = (
                struct.pack(
                    ">BBHII", 0x80, TRANSPORT_STREAM, index & 0xFFFF, int(moment * 90000), 1
                )
                + payload
            )
            try:
                self.wfile.write(struct.pack(">cBH", b"$", 0, len(packet)) + packet)
            except OSError:
                return  # the client has seen enough


class RtspCamera(socketserver.ThreadingTCPServer):
    """Shows an H.264 video once to whoever asks; use it in a `with` block. url: where."""

    daemon_threads = True

    def __init__(self, video: Path) -> None:
        stream = video.with_suffix(".camera.ts")
        with av.open(str(video)) as source, av.open(str(stream), "w", format="mpegts") as target:
            self.seconds = float(source.duration) / av.time_base
            copied = target.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = copied
                    target.mux(packet)
        self.content = stream.read_bytes()
        super().__init__(("127.0.0.1", 0), Talk)
        self.url = f"rtsp://127.0.0.1:{self.server_address[1]}/camera"
        self._thread = threading.Thread(target=self.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: Any) -> None:
        self.shutdown()
        self._thread.join()
        self.server_close()
