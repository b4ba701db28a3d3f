"""Kinds of error on the wire."""

import json

import pytest

from tidegate.base.errors import ConflictError, NotFoundError, TidegateError
from tidegate.http.errors import STATUS, error_line, error_response, status_of
from tidegate.http.messages import BodyTooLargeError


class NameTakenError(ConflictError):
    """A subclass, as services make them."""


def test_every_kind_has_a_status_of_its_own() -> None:
    kinds = set(TidegateError.__subclasses__())
    assert kinds <= set(STATUS)
    assert len(set(STATUS.values())) == len(STATUS)


def test_a_subclass_answers_as_its_kind() -> None:
    assert status_of(NameTakenError("x")) == 409


def test_a_broken_request_keeps_the_status_it_deserves() -> None:
    assert status_of(BodyTooLargeError(10)) == 413


def test_the_message_is_the_body() -> None:
    response = error_response(NotFoundError("No such container: a"))
    assert response.status == 404
    assert isinstance(response.body, bytes)
    assert json.loads(response.body) == {"message": "No such container: a"}


def test_a_fault_of_ours_is_a_500_with_its_type() -> None:
    response = error_response(ZeroDivisionError("by zero"))
    assert response.status == 500
    assert isinstance(response.body, bytes)
    assert "ZeroDivisionError" in json.loads(response.body)["message"]


def test_an_error_in_a_stream_is_a_line_of_its_own() -> None:
    line = json.loads(error_line(NotFoundError("gone")))
    assert line == {"errorDetail": {"message": "gone"}, "error": "gone"}


@pytest.mark.parametrize("kind", list(STATUS))
def test_statuses_are_errors(kind: type[TidegateError]) -> None:
    assert 400 <= status_of(kind("x")) < 600
