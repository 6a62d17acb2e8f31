"""The papers that cofire is founded on: data, networks, training, experiments."""
