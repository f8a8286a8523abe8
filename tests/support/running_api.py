"""
The API on a real socket in this process, over a real database, Redis and sandbox.

    sandbox     every outer system, in a process of its own: one per session
    api         the API, in a thread, with a database of its own: one per test module

A test module loads the fixtures by `pytest_plugins = ["tests.support.running_api"]`.
"""

from __future__ import annotations

from tests.support import ROOT
from tests.support.api import Api, api, api_settings, data_dir, module_database
from tests.support.documents import CANCEL, LOGIN, OWED, PAYMENT, PROCESS, REFUSAL, VERIFY, key
from tests.support.ports import ports, until
from tests.support.sandbox.process import Sandbox, sandbox
from tests.support.socket import Socket
from tests.support.statements import late_looks_are_trusted, statements

__all__ = [
    "CANCEL",
    "LOGIN",
    "OWED",
    "PAYMENT",
    "PROCESS",
    "REFUSAL",
    "ROOT",
    "VERIFY",
    "Api",
    "Sandbox",
    "Socket",
    "api",
    "api_settings",
    "data_dir",
    "key",
    "late_looks_are_trusted",
    "module_database",
    "ports",
    "sandbox",
    "statements",
    "until",
]
