"""What peers.py and scaling.py are made of; a worker is one trainer in its own process."""
