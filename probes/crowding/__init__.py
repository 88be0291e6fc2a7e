"""Crowding out: is what the deep evidence could tell left unlearned because the shallow evidence tells it first?"""
