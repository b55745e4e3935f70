"""`drpnet report`: picks, images, labels -> one HTML page that opens from disk. Start with `report.report`."""
