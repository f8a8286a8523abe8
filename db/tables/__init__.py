"""
The tables, one module for each noun; only db/ imports them.

A column declares its width and whether it may be null. What no column can express (partial
indexes, triggers, privileges) is in the migrations. Enums are text with the domain's names. A
query that sorts or pages by a text id compares bytewise (`COLLATE "C"`).
"""
