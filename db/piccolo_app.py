"""The application that Piccolo migrates: the tables of db/tables/."""

from __future__ import annotations

from pathlib import Path

from piccolo.conf.apps import AppConfig, table_finder

FOLDER = Path(__file__).parent
TABLE_MODULES = [f"db.tables.{path.stem}" for path in sorted((FOLDER / "tables").glob("[!_]*.py"))]

APP_CONFIG = AppConfig(
    app_name="mobinet",
    migrations_folder_path=str(FOLDER / "migrations"),
    table_classes=table_finder(modules=TABLE_MODULES, exclude_imported=True),
)
