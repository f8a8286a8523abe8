"""The application that Piccolo migrates: the tables of db/tables.py and db/records.py."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

APP_CONFIG = AppConfig(
    app_name="mobinet",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=table_finder(modules=["db.tables", "db.records"], exclude_imported=True),
)
