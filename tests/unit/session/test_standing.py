"""The record of each client: offers by the minute, and those in vain."""

from __future__ import annotations

from gradio_webrtc._session.client_address import Client
from gradio_webrtc._session.standing import (
    BURST_SHARE,
    FORGIVEN,
    MAX_CLIENTS,
    VAIN_LEAK_S,
    Standings,
)

ANNA, BERT = Client("8.8.8.8"), Client("9.9.9.9")
PER_MINUTE = 60
BURST = PER_MINUTE // BURST_SHARE


def test_offers_are_limited_by_the_minute_for_each_client() -> None:
    standings = Standings()
    counted = [standings.count_offer(ANNA, PER_MINUTE, 0.1 * n) for n in range(600)]
    assert sum(counted) == BURST + 59
    assert standings.count_offer(BERT, PER_MINUTE, 60.0)


def test_vain_offers_make_a_standing_worse_until_they_are_removed() -> None:
    standings = Standings()
    for _ in range(FORGIVEN - 1):
        standings.count_place(ANNA, 0.0)
    assert standings.standing_of(ANNA, 0.0) == standings.standing_of(BERT, 0.0)
    standings.count_place(ANNA, 0.0)
    assert standings.standing_of(ANNA, 0.0) > standings.standing_of(BERT, 0.0)
    later_s = FORGIVEN * VAIN_LEAK_S
    assert standings.standing_of(ANNA, later_s) == standings.standing_of(BERT, later_s)


def test_an_offer_that_connects_is_not_in_vain() -> None:
    standings = Standings()
    for _ in range(100):
        standings.count_offer(ANNA, PER_MINUTE, 0.0)
        standings.count_place(ANNA, 0.0)
        standings.forgive(ANNA, 0.0)
    assert standings.standing_of(ANNA, 0.0) == standings.standing_of(BERT, 0.0)


def test_an_address_answers_for_its_sessions_after_they_answered_for_themselves() -> None:
    standings = Standings()
    for n in range(100):
        standings.count_offer(Client("8.8.8.8", str(n), is_shared=True), PER_MINUTE, 0.0)
    new_there = standings.standing_of(Client("8.8.8.8", "new", is_shared=True), 0.0)
    new_elsewhere = standings.standing_of(Client("10.0.0.9", "new", is_shared=True), 0.0)
    for _ in range(FORGIVEN):
        standings.count_place(BERT, 0.0)
    assert new_elsewhere < new_there < standings.standing_of(BERT, 0.0)


def test_a_session_of_a_shared_address_has_a_rate_of_its_own() -> None:
    standings = Standings()
    sessions = [Client("10.0.0.1", str(n), is_shared=True) for n in range(200)]
    assert all(standings.count_offer(each, PER_MINUTE, 0.0) for each in sessions)


def test_clients_are_removed_the_longest_unseen_first() -> None:
    standings = Standings()
    for n in range(3 * MAX_CLIENTS):
        standings.count_place(ANNA, 0.0)
        standings.count_place(Client("10.0.0.1", str(n), is_shared=True), 0.0)
    assert len(standings) == MAX_CLIENTS
    assert standings.standing_of(ANNA, 0.0) > standings.standing_of(BERT, 0.0)


def test_who_is_refused_and_tries_again_stands_as_one_who_is_new() -> None:
    standings = Standings()
    for second in range(0, 600, 2):
        standings.count_offer(ANNA, PER_MINUTE, second)
    assert standings.standing_of(ANNA, 600) == standings.standing_of(BERT, 600)
