"""Photos become aligned crops: faces found, the five landmarks brought to a template; and masked twins of them."""
