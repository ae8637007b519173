"""How a model learns: stages that resume, time budgets, hard negatives, batches."""
