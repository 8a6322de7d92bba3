"""Figures of models alone, without a daemon."""
