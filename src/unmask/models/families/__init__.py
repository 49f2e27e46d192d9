"""The layouts in which others keep the weights of transformers: one file a family, one line in the registry."""
