"""The nouns: values and rules, without disk, network, SQL, clock or chance."""
