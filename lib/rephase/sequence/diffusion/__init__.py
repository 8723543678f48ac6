"""Video diffusion: whole sequences drawn from noise, given the frames that were observed."""
