"""Training of the score model: composed works and score files as sequences of notes, its network in torch, its run.

Imports the notes and what composes; torch.
No threads of its own.
"""
