"""Map the folders to packages: ``api`` is ``adascale``, and the others are packages inside it."""

from setuptools import find_packages, setup

FOLDERS = {"adascale": "api", "adascale.cli": "cli", "adascale.engine": "engine", "adascale.models": "models"}

setup(
    package_dir=FOLDERS,
    packages=[
        package
        for name, folder in FOLDERS.items()
        for package in (name, *(f"{name}.{inner}" for inner in find_packages(folder)))
    ],
)
