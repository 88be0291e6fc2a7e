"""What is linearly decodable from a head, its floors, and what happens when that is taken out."""
