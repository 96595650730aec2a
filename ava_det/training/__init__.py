"""The training loop, its optimizer and its log. Handed a model, a loader, a loss and an `evaluate`;
imports none.
"""
