"""Renderings of the tables: for programs (CSV, JSON, Parquet, Arrow) and for people (table, summary, timeline)."""
