"""The results of a run: ratios, the table, the chart, and the machine."""
