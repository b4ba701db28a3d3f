"""The lonely engine on 2375 that believes everything, runs nothing, and writes down what it was told to run."""
