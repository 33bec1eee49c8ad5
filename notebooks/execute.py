"""Executes one notebook from top to bottom and fails where a cell fails: execute.py NOTEBOOK OUT_FOLDER."""

import sys
from pathlib import Path

import nbformat
from nbclient import NotebookClient

CELL_SECONDS_MAX = 120

source, out = Path(sys.argv[1]), Path(sys.argv[2])
notebook = nbformat.read(source, as_version=4)
NotebookClient(notebook, timeout=CELL_SECONDS_MAX, kernel_name="python3").execute()
nbformat.write(notebook, out / source.name)
cells = sum(cell.cell_type == "code" for cell in notebook.cells)
print(f"{source}: {cells} cells executed, copy in {out / source.name}")
