"""How many machines: from costs that were measured to cores, memory, network, storage, delay. Pure computing."""
