"""Exports in the form CVAT itself writes: every frame of a track, interpolated ones too, in its
order of attributes.

Written from CVAT's documentation of "CVAT for video 1.1" and from what its own exporter emits, with
no code of ours.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

Box = tuple[float, float, float, float]

LABELS = """        <label>
          <name>person</name>
          <color>#33ddff</color>
          <type>rectangle</type>
          <attributes>
{attributes}
          </attributes>
        </label>"""
ATTRIBUTE = """            <attribute>
              <name>{name}</name>
              <mutable>True</mutable>
              <input_type>{kind}</input_type>
              <default_value>{default}</default_value>
              <values>{values}</values>
            </attribute>"""


def attribute(name: str, kind: str = "checkbox", values: str = "false") -> str:
    default = "false" if kind == "checkbox" else values.split("\n")[0]
    return ATTRIBUTE.format(
        name=escape(name), kind=kind, default=escape(default), values=escape(values)
    )


def labels(*attributes: str, more: str = "") -> str:
    return LABELS.format(attributes="\n".join(attributes)) + more


def task_meta(
    source: str,
    num_frames: int,
    size: tuple[int, int],
    labels_xml: str,
    *,
    start: int = 0,
    stop: int | None = None,
    step: int = 1,
    task_id: int = 7,
    subset: str = "default",
) -> str:
    """The <task> of a task's export."""
    stop = num_frames - 1 if stop is None else stop
    count = len(range(start, stop + 1, step))
    return f"""    <task>
      <id>{task_id}</id>
      <name>{escape(source)}</name>
      <size>{count}</size>
      <mode>interpolation</mode>
      <overlap>5</overlap>
      <bugtracker></bugtracker>
      <created>2026-01-01 10:00:00.000000+00:00</created>
      <updated>2026-01-01 11:00:00.000000+00:00</updated>
      <subset>{subset}</subset>
      <start_frame>{start}</start_frame>
      <stop_frame>{stop}</stop_frame>
      <frame_filter>{f"step={step}" if step > 1 else ""}</frame_filter>
      <segments>
        <segment>
          <id>1</id>
          <start>0</start>
          <stop>{count - 1}</stop>
          <url>http://localhost:8080/api/jobs/1</url>
        </segment>
      </segments>
      <owner>
        <username>admin</username>
        <email></email>
      </owner>
      <assignee></assignee>
      <labels>
{labels_xml}
      </labels>
      <original_size>
        <width>{size[0]}</width>
        <height>{size[1]}</height>
      </original_size>
      <source>{escape(source)}</source>
    </task>"""


def box(
    frame: int,
    corners: Box,
    attributes: Mapping[str, str] | None = None,
    *,
    keyframe: int = 1,
    outside: int = 0,
    occluded: int = 0,
    extra: str = "",
) -> str:
    sides = " ".join(
        f'{name}="{value:.2f}"'
        for name, value in zip(("xtl", "ytl", "xbr", "ybr"), corners, strict=True)
    )
    lines = [
        f'    <box frame="{frame}" keyframe="{keyframe}" outside="{outside}" '
        f'occluded="{occluded}" {sides}'
        f'{extra} z_order="0">'
    ]
    for name, value in (attributes or {}).items():
        lines.append(f"      <attribute name={quoteattr(name)}>{escape(value)}</attribute>")
    return "\n".join([*lines, "    </box>"])


def dense_boxes(
    keyframes: Sequence[tuple[int, Box, Mapping[str, str]]],
    num_frames: int,
    step: int = 1,
    first_frame: int = 0,
) -> list[str]:
    """A track as CVAT exports it: straight lines between keyframes, attributes kept until the next,
    then outside.
    """
    lines = []
    for (frame, corners, attributes), following in zip(
        keyframes, [*keyframes[1:], None], strict=True
    ):
        lines.append(box(first_frame + frame, corners, attributes))
        if following is not None:
            for between in range(frame + step, following[0], step):
                share = (between - frame) / (following[0] - frame)
                left, top, right, bottom = (
                    a + share * (b - a) for a, b in zip(corners, following[1], strict=True)
                )
                moved = (left, top, right, bottom)
                lines.append(box(first_frame + between, moved, attributes, keyframe=0))
        elif frame + step < num_frames:
            lines.append(box(first_frame + frame + step, corners, attributes, outside=1))
    return lines


def track(number: int, boxes: Sequence[str], label: str = "person", more: str = "") -> str:
    return "\n".join(
        [
            f'  <track id="{number}" label={quoteattr(label)} source="manual"{more}>',
            *boxes,
            "  </track>",
        ]
    )


def export(meta: str, *tracks: str, version: str = "1.1") -> str:
    body = "\n".join(tracks)
    return f"""<?xml version="1.0" encoding="utf-8"?>
<annotations>
  <version>{version}</version>
  <meta>
{meta}
    <dumped>2026-01-01 12:00:00.000000+00:00</dumped>
  </meta>
{body}
</annotations>
"""
