"""What the gate does about objects around a verdict: whose they are, by which id they go on, what is shown of them."""
