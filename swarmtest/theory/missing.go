package theory

// OneClubDrift returns how fast, in peers per unit of time, a swarm grows in which nearly
// everybody has every piece but one, by Hajek and Zhu, "The missing piece
// syndrome in peer-to-peer communication" (2011):
//
//	lambda - U_s / (1 - mu/gamma)
//
// Peers arrive empty with rate lambda and join the club. The seed hands out
// the missing piece with rate seedUp; whoever has it stays 1/gamma on average, uploads with rate mu in that
// time, and so completes mu/gamma others, each of which does the same. A gamma of 0 stands
// for peers that leave at once. The drift is positive, and the swarm unstable, if the seed is too
// slow; mu must be less than gamma, or no arrival rate is too much.
func OneClubDrift(lambda, seedUp, mu, gamma float64) float64 {
	perUpload := 1.0
	if gamma > 0 {
		perUpload = 1 / (1 - mu/gamma)
	}
	return lambda - seedUp*perUpload
}
