"""What people look at, wherever it is printed: charts, tables and reports, shared by the dashboard and the command line."""
