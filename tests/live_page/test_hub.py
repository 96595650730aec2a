"""What waits for a client is bounded, and who does not take it is let go."""

from __future__ import annotations

import asyncio

import pytest

pytest.importorskip("starlette", reason="needs starlette: pip install 'ava_det[web]'")

from ava_det.formats.keyframe_records import (
    ActionRecord,
    KeyframeRecord,
    PersonRecord,
)
from ava_det.live_page.access import is_local
from ava_det.live_page.happenings import Happenings
from ava_det.live_page.hub import MAX_ACTIONS, MAX_KEPT, MAX_WAITING, Hub, Mailbox


def test_a_mailbox_of_pictures_holds_the_newest() -> None:
    async def run() -> None:
        mailbox = Mailbox(1)
        for number in range(5):
            mailbox.put(number)
        assert await mailbox.take(0.1) == 4
        assert await mailbox.take(0.01) is None
        assert not mailbox.is_closed

    asyncio.run(run())


def test_a_mailbox_of_messages_is_closed_when_it_is_full() -> None:
    async def run() -> None:
        hub = Hub()
        hub.begin()
        with hub.messages() as slow, hub.messages() as quick:
            for number in range(MAX_WAITING + 1):
                hub.publish_keyframe({"time": float(number)})
                name, keyframe = await quick.take(1)
                assert (name, keyframe["time"]) == ("keyframe", number)
            assert slow.is_closed and slow.is_overrun and not quick.is_closed
            assert await slow.take(1) is None
        assert (hub.num_dropped, hub.num_clients) == (1, 0)

    asyncio.run(run())


def test_a_hub_keeps_the_last_alone() -> None:
    hub = Hub()
    for number in range(MAX_KEPT + 10):
        hub.publish_keyframe({"time": float(number)})
        hub.publish_alarm({"rule": "fall", "time": number, "clip": "/home/me/a.mp4"})
    assert len(hub.keyframes()) == MAX_KEPT
    assert hub.keyframes()[0]["time"] == 10
    assert [one["time"] for one in hub.keyframes(MAX_KEPT + 8)] == [MAX_KEPT + 9]
    assert hub.alarms()[0] == {"rule": "fall", "time": 10} and len(hub.alarms()) == MAX_KEPT
    for number in range(0, MAX_ACTIONS + 10, 10):
        hub.publish_actions([{"id": number + i, "end": 0} for i in range(10)])
        hub.publish_actions([{"id": number, "end": number}])
    kept = hub.actions()
    assert [one["id"] for one in kept] == list(range(10, MAX_ACTIONS + 10))
    assert all(one["end"] == (one["id"] if one["id"] % 10 == 0 else 0) for one in kept)


def test_a_crowd_drops_no_client() -> None:
    async def run() -> None:
        hub = Hub()
        hub.begin()
        with hub.messages() as mailbox:
            hub.publish_actions([{"id": number} for number in range(2 * MAX_WAITING)])
            name, actions = await mailbox.take(1)
            assert (name, len(actions)) == ("actions", 2 * MAX_WAITING)
            assert not mailbox.is_closed

    asyncio.run(run())


def keyframe(time: float, **actions: float) -> KeyframeRecord:
    listed = tuple(ActionRecord(1 + len(name), name, score) for name, score in actions.items())
    person = PersonRecord(7, (0.0, 0.0, 1.0, 1.0), 0.9, listed)
    return KeyframeRecord("v", time, time, 64, 48, (person,))


def test_actions_begin_and_end_at_their_keyframes() -> None:
    happenings = Happenings()
    told = [
        [(one["id"], one["action"], one["start"], one["end"], one["is_going"]) for one in found]
        for found in (
            happenings.add(keyframe(1.0, walk=0.6)),
            happenings.add(keyframe(2.0, walk=0.9, sit=0.5)),
            happenings.add(keyframe(3.0, sit=0.7)),
            happenings.add(keyframe(4.0, walk=0.7)),
        )
    ]
    assert told == [
        [(1, "walk", 1.0, 1.0, True)],
        [(1, "walk", 1.0, 2.0, True), (2, "sit", 2.0, 2.0, True)],
        [(2, "sit", 2.0, 3.0, True), (1, "walk", 1.0, 2.0, False)],
        [(3, "walk", 4.0, 4.0, True), (2, "sit", 2.0, 3.0, False)],
    ]


@pytest.mark.parametrize(
    ("host", "expected"),
    [("127.0.0.1", True), ("localhost", True), ("::1", True), ("0.0.0.0", False), ("::", False)],
)
def test_which_addresses_are_this_machine(host: str, expected: bool) -> None:
    assert is_local(host) is expected
