"""How far each network sees, and how far its picks lie beside the particles' true centres."""
