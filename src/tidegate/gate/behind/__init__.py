"""What is behind the gate and how it is reached: the engine, its objects, plugins, the registrar."""
