"""The application that Piccolo migrates: the tables of db/tables/business.py and db/tables/records.py."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

APP_CONFIG = AppConfig(
    app_name="mobinet",
    migrations_folder_path=str(Path(__file__).parent / "migrations"),
    table_classes=table_finder(
        modules=["db.tables.business", "db.tables.records"], exclude_imported=True
    ),
)
